// SPDX-License-Identifier: Apache-2.0
// Curator's recipes; prints one line for each outcome, the same on every server. Called by
// curator.py, which kills a server when this program says "storm".
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryForever;
import org.apache.curator.retry.RetryNTimes;
import org.apache.zookeeper.CreateMode;

public class CuratorRecipes {
  static final int CLIENTS = 3;
  static final List<CuratorFramework> clients = new ArrayList<>();
  static final AtomicInteger lost = new AtomicInteger(), suspended = new AtomicInteger();
  static final ExecutorService threads = Executors.newCachedThreadPool(r -> {
    Thread thread = new Thread(r);
    thread.setDaemon(true);
    return thread;
  });

  interface Work { Object run(int client) throws Exception; }

  /** Runs the work once for each client, side by side. */
  static List<Object> together(Work work) throws Exception {
    List<Future<Object>> running = new ArrayList<>();
    for (int i = 0; i < CLIENTS; i++) {
      int client = i;
      running.add(threads.submit((Callable<Object>) () -> work.run(client)));
    }
    List<Object> results = new ArrayList<>();
    for (Future<Object> one : running) results.add(one.get(60, TimeUnit.SECONDS));
    return results;
  }

  static void until(String what, Callable<Boolean> condition) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (!condition.call()) {
      if (System.nanoTime() > end) throw new AssertionError("waited in vain: " + what);
      Thread.sleep(2);
    }
  }

  static void say(String name, Object outcome) { System.out.println(name + ": " + outcome); }

  static Object mutex(String path) throws Exception {
    AtomicInteger inside = new AtomicInteger(), most = new AtomicInteger();
    AtomicInteger turns = new AtomicInteger();
    together(i -> {
      InterProcessMutex mutex = new InterProcessMutex(clients.get(i), path);
      for (int turn = 0; turn < 10; turn++) {
        mutex.acquire();
        most.accumulateAndGet(inside.incrementAndGet(), Math::max);
        turns.incrementAndGet();
        inside.decrementAndGet();
        mutex.release();
      }
      return null;
    });
    return turns + " turns, at most " + most + " inside";
  }

  static Object readWrite(String path) throws Exception {
    InterProcessReadWriteLock one = new InterProcessReadWriteLock(clients.get(0), path);
    InterProcessReadWriteLock two = new InterProcessReadWriteLock(clients.get(1), path);
    one.readLock().acquire();
    boolean reader = two.readLock().acquire(5, TimeUnit.SECONDS);
    boolean writer = two.writeLock().acquire(50, TimeUnit.MILLISECONDS);
    two.readLock().release();
    one.readLock().release();
    boolean later = two.writeLock().acquire(5, TimeUnit.SECONDS);
    two.writeLock().release();
    return reader + " " + writer + " " + later;
  }

  static Object semaphore(String path) throws Exception {
    AtomicInteger inside = new AtomicInteger(), most = new AtomicInteger();
    together(i -> {
      InterProcessSemaphoreV2 semaphore = new InterProcessSemaphoreV2(clients.get(i), path, 2);
      for (int turn = 0; turn < 5; turn++) {
        var lease = semaphore.acquire();
        most.accumulateAndGet(inside.incrementAndGet(), Math::max);
        inside.decrementAndGet();
        semaphore.returnLease(lease);
      }
      return null;
    });
    return most.get() <= 2;
  }

  static Object latch(String path) throws Exception {
    List<LeaderLatch> latches = new ArrayList<>();
    for (int i = 0; i < CLIENTS; i++) latches.add(new LeaderLatch(clients.get(i), path, "" + i));
    for (LeaderLatch latch : latches) latch.start();
    int reigns = 0;
    while (!latches.isEmpty()) {
      until("somebody leads", () -> latches.stream().anyMatch(LeaderLatch::hasLeadership));
      if (latches.stream().filter(LeaderLatch::hasLeadership).count() != 1) return "two lead";
      reigns++;
      LeaderLatch leader = latches.stream().filter(LeaderLatch::hasLeadership).findFirst().get();
      leader.close();
      latches.remove(leader);
    }
    return reigns + " reigns";
  }

  static Object atomicLong(String path) throws Exception {
    together(i -> {
      DistributedAtomicLong number =
          new DistributedAtomicLong(clients.get(i), path, new RetryNTimes(1000, 1));
      for (int turn = 0; turn < 10; turn++) {
        if (!number.increment().succeeded()) throw new AssertionError("gave up");
      }
      return null;
    });
    clients.get(0).sync().forPath(path);  // the others may have been answered by another server
    return new DistributedAtomicLong(clients.get(0), path, new RetryNTimes(10, 1)).get()
        .postValue();
  }

  static Object barriers(String path) throws Exception {
    DistributedBarrier barrier = new DistributedBarrier(clients.get(0), path);
    barrier.setBarrier();
    boolean early = barrier.waitOnBarrier(20, TimeUnit.MILLISECONDS);
    List<Object> passed = together(i -> {
      if (i == 0) barrier.removeBarrier();
      return new DistributedBarrier(clients.get(i), path).waitOnBarrier(30, TimeUnit.SECONDS);
    });
    List<Object> entered = together(i -> {
      var twice = new DistributedDoubleBarrier(clients.get(i), path + "-double", CLIENTS);
      return twice.enter(30, TimeUnit.SECONDS) && twice.leave(30, TimeUnit.SECONDS);
    });
    return early + " " + passed + " " + entered;
  }

  static Object caches(String path) throws Exception {
    CuratorFramework writer = clients.get(0);
    writer.create().creatingParentContainersIfNeeded().forPath(path + "/a", "1".getBytes());
    try (PathChildrenCache children = new PathChildrenCache(clients.get(1), path, true);
         NodeCache node = new NodeCache(clients.get(2), path + "/a");
         TreeCache tree = new TreeCache(clients.get(2), path)) {
      children.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
      node.start(true);
      tree.start();
      writer.setData().forPath(path + "/a", "2".getBytes());
      writer.create().forPath(path + "/b", "3".getBytes());
      writer.create().forPath(path + "/b/c", "4".getBytes());
      until("the node is seen", () -> "2".equals(new String(node.getCurrentData().getData())));
      until("the children are seen", () -> children.getCurrentData().size() == 2
          && "2".equals(new String(children.getCurrentData(path + "/a").getData())));
      until("the tree is seen", () -> tree.getCurrentData(path + "/b/c") != null);
      writer.delete().deletingChildrenIfNeeded().forPath(path + "/b");
      until("the end is seen", () -> children.getCurrentData().size() == 1
          && tree.getCurrentData(path + "/b") == null);
      return "all seen";
    }
  }

  static Object transaction(String path) throws Exception {
    CuratorFramework client = clients.get(0);
    client.create().forPath(path);
    var done = client.transaction().forOperations(
        client.transactionOp().create().forPath(path + "/a", "1".getBytes()),
        client.transactionOp().setData().withVersion(0).forPath(path + "/a", "2".getBytes()),
        client.transactionOp().create().withMode(CreateMode.PERSISTENT_SEQUENTIAL)
            .forPath(path + "/s-"),
        client.transactionOp().delete().forPath(path + "/a"));
    List<String> results = new ArrayList<>();
    done.forEach(one -> results.add(one.getType() + "=" + one.getResultPath()));
    try {
      client.transaction().forOperations(client.transactionOp().create().forPath(path + "/b"),
          client.transactionOp().check().withVersion(7).forPath(path));
    } catch (Exception failure) {
      results.add(failure.getClass().getSimpleName());
    }
    results.addAll(new TreeSet<>(client.getChildren().forPath(path)));
    return results.toString().replace(path, "");
  }

  static Object modes(String path) throws Exception {
    CuratorFramework client = clients.get(1);
    client.create().creatingParentContainersIfNeeded().withMode(CreateMode.CONTAINER)
        .forPath(path + "/box");
    client.create().withTtl(100000).withMode(CreateMode.PERSISTENT_WITH_TTL)
        .forPath(path + "/short");
    String made = client.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL)
        .forPath(path + "/e-");
    ConcurrentLinkedQueue<String> seen = new ConcurrentLinkedQueue<>();
    client.watchers().add().withMode(org.apache.zookeeper.AddWatchMode.PERSISTENT_RECURSIVE)
        .usingWatcher((org.apache.zookeeper.Watcher) event ->
            seen.add(event.getType() + " " + event.getPath()))
        .forPath(path);
    clients.get(2).create().forPath(path + "/box/in");
    clients.get(2).setData().forPath(path + "/box/in", "x".getBytes());
    clients.get(2).delete().forPath(path + "/box/in");
    until("three events", () -> seen.size() == 3);
    return made.substring(made.length() - 10) + " " + seen.toString().replace(path, "");
  }

  /** While the server of the first client dies and comes back. */
  static Object storm(String path, BufferedReader in) throws Exception {
    PersistentNode node = new PersistentNode(clients.get(0), CreateMode.EPHEMERAL, false,
        path + "-node", "here".getBytes());
    node.start();
    node.waitForInitialCreate(30, TimeUnit.SECONDS);
    AtomicInteger inside = new AtomicInteger(), most = new AtomicInteger();
    Future<String> told = threads.submit((Callable<String>) in::readLine);
    System.out.println("storm");
    int rounds = 0;
    while (!told.isDone() || rounds == 0) {
      rounds++;
      together(i -> {
        InterProcessMutex mutex = new InterProcessMutex(clients.get(i), path);
        mutex.acquire();
        most.accumulateAndGet(inside.incrementAndGet(), Math::max);
        inside.decrementAndGet();
        mutex.release();
        return null;
      });
    }
    System.err.println(rounds + " rounds while a server died and came back");
    until("the node is there", () -> clients.get(1).checkExists().forPath(path + "-node") != null);
    return "at most " + most + " inside, sessions lost " + lost;
  }

  public static void main(String[] arguments) throws Exception {
    for (int i = 0; i < CLIENTS; i++) {
      CuratorFramework client = CuratorFrameworkFactory.builder().connectString(arguments[0])
          .sessionTimeoutMs(10000).connectionTimeoutMs(10000)
          .retryPolicy(new RetryForever(20)).build();
      client.getConnectionStateListenable().addListener((any, state) -> {
        if (state == ConnectionState.LOST) lost.incrementAndGet();
        if (state == ConnectionState.SUSPENDED) suspended.incrementAndGet();
      });
      client.start();
      clients.add(client);
    }
    say("InterProcessMutex", mutex("/mutex"));
    say("InterProcessReadWriteLock", readWrite("/readwrite"));
    say("InterProcessSemaphoreV2", semaphore("/semaphore"));
    say("LeaderLatch", latch("/latch"));
    say("DistributedAtomicLong", atomicLong("/long"));
    say("barriers", barriers("/barrier"));
    say("caches", caches("/caches"));
    say("transaction", transaction("/transaction"));
    say("modes", modes("/modes"));
    say("storm", storm("/storm", new BufferedReader(new InputStreamReader(System.in))));
    if (List.of(arguments).contains("--losses")) say("connections lost", suspended);
    for (CuratorFramework client : clients) client.close();
    System.exit(0);
  }
}
