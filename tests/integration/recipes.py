# SPDX-License-Identifier: Apache-2.0
# kazoo's recipes and calls as functions from (clients, path) to an outcome that must be the same on
# every server. Where they run, and what is killed meanwhile, lies in kazoo_recipes.py.
import threading

from cluster import wait_for
from kazoo.exceptions import BadVersionError, NodeExistsError, NoNodeError, NotEmptyError
from kazoo.protocol.states import EventType

LONG = 60  # seconds after which a recipe counts as stuck


def in_threads(*functions):
    """Runs them side by side and returns their results; the first exception is raised."""
    results, failures = [None] * len(functions), []

    def run(at):
        try:
            results[at] = functions[at]()
        except BaseException as failure:  # told by the caller's thread
            failures.append(failure)
    threads = [threading.Thread(target=run, args=(at,), daemon=True)
               for at in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive(), "a recipe is stuck"
    if failures:
        raise failures[0]
    return results


def contenders_of(recipe):
    """kazoo asks for them only once, even with a command_retry, and fails with a lost connection."""
    client = recipe.client if hasattr(recipe, "client") else recipe.lock.client
    return client.retry(recipe.contenders)


def lock(clients, path):
    inside, most, turns = [], [0], []

    def work(client, name):
        mutex = client.Lock(path, name)
        for _ in range(3):
            with mutex:
                inside.append(name)
                most[0] = max(most[0], len(inside))
                turns.append(name)
                inside.remove(name)
    in_threads(*(lambda c=c, n=n: work(c, n) for n, c in zip("abc", clients)))
    holder = clients[0].Lock(path, "holder")
    holder.acquire()
    waiting = clients[1].Lock(path, "waiting")
    refused = waiting.acquire(blocking=False)
    contenders = contenders_of(holder)
    holder.release()
    return {"turns": sorted(turns), "together": most[0], "refused": refused,
            "contenders": contenders}


def read_write_lock(clients, path):
    readers = [client.ReadLock(path) for client in clients[:2]]
    for reader in readers:
        assert reader.acquire(timeout=LONG)
    writer = clients[2].WriteLock(path)
    before = writer.acquire(blocking=False)
    for reader in readers:
        reader.release()
    after = writer.acquire(timeout=LONG)
    reading = clients[0].ReadLock(path).acquire(blocking=False)
    writer.release()
    return {"writer among readers": before, "writer alone": after, "reader beside": reading}


def semaphore(clients, path):
    leases = [client.Semaphore(path, max_leases=2) for client in clients]
    got = [lease.acquire(blocking=False) for lease in leases]
    leases[0].release()
    last = leases[2].acquire(timeout=LONG)
    holders = len(leases[2].lease_holders())
    for lease in leases[1:]:
        lease.release()
    return {"got": got, "after a release": last, "holders": holders}


def election(clients, path):
    reigns, elections = [], [c.Election(path, n) for n, c in zip("abc", clients)]
    in_threads(*(lambda e=e, n=n: e.run(lambda: reigns.append(n))
                 for n, e in zip("abc", elections)))
    return {"reigns": sorted(reigns), "left": contenders_of(elections[0])}


def barrier(clients, path):
    gates = [client.Barrier(path) for client in clients]
    gates[0].create()
    early = gates[1].wait(0.05)
    passed, = in_threads(lambda: (gates[0].remove(), gates[1].wait(LONG))[1])
    return {"early": early, "passed": passed, "gone": gates[0].remove()}


def double_barrier(clients, path):
    """All are in before any leaves: kazoo 2.8 waits for ever for a `ready` that came and went between
    its two looks."""
    gates = [client.DoubleBarrier(path, 3, name) for name, client in zip("abc", clients)]
    in_threads(*(gate.enter for gate in gates))
    inside = [gate.participating for gate in gates]
    in_threads(*(gate.leave for gate in gates))
    return {"inside": inside, "after": [gate.participating for gate in gates],
            "left": clients[0].get_children(path)}


def queue(clients, path):
    fifo = clients[0].Queue(path)
    for at in range(5):
        fifo.put(b"%d" % at, priority=100 - at % 2)
    taken = [clients[1].Queue(path).get() for _ in range(6)]
    return {"taken": [t and t.decode() for t in taken], "left": len(fifo)}


def locking_queue(clients, path):
    queues = [client.LockingQueue(path) for client in clients]
    queues[0].put_all([b"1", b"2", b"3"])
    first = queues[1].get(LONG)
    second = queues[2].get(LONG)
    holds = [q.holds_lock() for q in queues]
    queues[1].consume()
    queues[2].release()
    again = queues[0].get(LONG)
    queues[0].consume()
    left = len(queues[1])
    return {"first": first.decode(), "second": second.decode(), "holds": holds,
            "again": again.decode(), "left": left}


def party(clients, path):
    parties = [client.Party(path, name) for name, client in zip("abc", clients)]
    for one in parties:
        one.join()
    members = sorted(parties[0])
    parties[1].leave()
    shallow = [client.ShallowParty(path + "-s", name) for name, client in zip("xy", clients)]
    for one in shallow:
        one.join()
    return {"members": members, "after": sorted(parties[2]), "count": len(parties[0]),
            "shallow": sorted(shallow[0])}


def counter(clients, path):
    def add(client):
        own = client.Counter(path)
        for _ in range(5):
            own += 1
        own -= 2
    in_threads(*(lambda c=c: add(c) for c in clients))
    floating = clients[0].Counter(path + "-f", default=1.5)
    floating += 0.25
    return {"sum": clients[0].Counter(path).value, "float": floating.value}


def data_watch(clients, path):
    seen = []
    clients[0].create(path, b"0")

    @clients[1].DataWatch(path)
    def watch(data, stat):
        seen.append((data and data.decode(), stat and stat.version))
        return data is not None or len(seen) == 1
    for at in range(1, 4):
        wait_for("the watch sees it", lambda: len(seen) == at)
        clients[0].set(path, b"%d" % at)
    wait_for("the watch sees it", lambda: len(seen) == 4)
    clients[0].delete(path)
    wait_for("the watch sees the end", lambda: len(seen) == 5)
    return seen


def children_watch(clients, path):
    seen = []
    clients[0].create(path)

    @clients[1].ChildrenWatch(path)
    def watch(children):
        seen.append(sorted(children))
        return len(seen) < 5
    wait_for("the first sight", lambda: len(seen) == 1)
    for at, (call, name) in enumerate([("create", "/a"), ("create", "/b"), ("delete", "/a"),
                                       ("create", "/c")]):
        getattr(clients[2], call)(path + name)
        wait_for("the watch sees it", lambda: len(seen) == at + 2)
    return seen


def transaction(clients, path):
    client = clients[0]
    client.create(path)
    good = client.transaction()
    good.create(path + "/a", b"1")
    good.set_data(path + "/a", b"2")
    good.check(path + "/a", 1)
    good.create(path + "/s-", sequence=True)
    good.delete(path + "/a")
    results = good.commit()
    bad = client.transaction()
    bad.create(path + "/b")
    bad.check(path, 99)
    bad.delete(path)
    failed = bad.commit()
    return {"good": [r[len(path):] if isinstance(r, str) else type(r).__name__ for r in results],
            "bad": [type(r).__name__ for r in failed], "children": client.get_children(path)}


def sequential(clients, path):
    clients[0].create(path)
    made = [client.create(path + "/n-", sequence=True, ephemeral=at % 2 == 1)
            for at, client in enumerate(clients * 3)]
    clients[0].delete(made[-1])
    made.append(clients[1].create(path + "/m-", sequence=True))
    return [name[len(path):] for name in made]


def errors(clients, path):
    client, told = clients[0], []
    client.create(path + "/x/y", makepath=True)
    client.create(path + "/e", ephemeral=True)
    for call, arguments, failure in (
            (client.create, (path,), NodeExistsError), (client.delete, (path,), NotEmptyError),
            (client.get, (path + "/none",), NoNodeError),
            (client.set, (path, b"", 7), BadVersionError),
            (client.delete, (path + "/x/y", 3), BadVersionError)):
        try:
            call(*arguments)
        except failure as error:
            told.append(type(error).__name__)
    return told + [client.exists(path + "/none"), client.get_children(path + "/x")]


def one_shot_watches(clients, path):
    seen = []
    clients[0].create(path)
    clients[1].get(path, watch=lambda event: seen.append(event))
    clients[1].exists(path + "/c", watch=lambda event: seen.append(event))
    clients[0].create(path + "/c")
    clients[0].set(path, b"new")
    wait_for("two events", lambda: len(seen) == 2)
    return [(event.type == EventType.CREATED, event.path[len(path):]) for event in seen]


EXACT = [lock, read_write_lock, semaphore, election, barrier, double_barrier, queue, locking_queue,
         party, counter, data_watch, children_watch, transaction, sequential, errors,
         one_shot_watches]
# Those that a lost connection cannot confuse: kazoo repeats what it does not know the outcome of.
REPEATABLE = [lock, election, party]
