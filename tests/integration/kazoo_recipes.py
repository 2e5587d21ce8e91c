# SPDX-License-Identifier: Apache-2.0
# kazoo's recipes against Debian's ZooKeeper, against three of ours, and against three of ours while
# leaders are killed and come back. The recipes lie in recipes.py; all outcomes must be equal.
"""kazoo_recipes.py quiet|killed"""
import itertools
import logging
import sys
import threading
import time

from cluster import Polyquorum, ZooKeeper, log, skip, wait_for, wire

try:
    from kazoo.client import KazooClient
    from kazoo.protocol.states import KazooState
except ImportError:
    skip("Debian's package python3-kazoo is not installed")
import recipes

logging.getLogger("kazoo").addHandler(logging.NullHandler())  # a killed server is no news here
logging.getLogger("kazoo").propagate = False
PATIENCE = {"max_tries": -1, "delay": 0.02, "max_delay": 0.2}
numbers = itertools.count(1)


class Clients(list):
    """Three kazoo clients of these servers, in this order; counts how often they lost a server."""

    def __init__(self, address):
        self.losses = 0
        for _ in range(3):
            client = KazooClient(address, timeout=10, randomize_hosts=False,
                                 connection_retry=dict(PATIENCE), command_retry=dict(PATIENCE))
            client.add_listener(self.told)
            client.start(30)
            self.append(client)

    def told(self, state):
        if state == KazooState.SUSPENDED and not self.closing:
            self.losses += 1
        if state == KazooState.LOST and not self.closing:
            self.losses += 1000
    closing = False

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.closing = True
        for client in self:
            client.stop()
            client.close()


def play(recipe, clients):
    return recipe(clients, f"/{recipe.__name__}{next(numbers):05}")


def all_quiet(servers):
    """{name: outcome} of every recipe, paths made comparable."""
    global numbers
    numbers = itertools.count(1)
    with Clients(servers.address()) as clients:
        outcomes = {recipe.__name__: play(recipe, clients) for recipe in recipes.EXACT}
        assert clients.losses == 0, f"{servers.name}: {clients.losses} connections lost"
    outcomes["expiry"] = expiry(servers)
    return outcomes


def expiry(servers):
    """How an ephemeral goes whose owner falls silent: not before its time, at most a tick late."""
    owner = wire.Client(servers.ports[servers.ids()[-1]], timeout=4000)
    owner.call(wire.CREATE, wire.create("/expiring", flags=1))
    started = time.monotonic()
    owner.close()
    with Clients(servers.address()) as clients:
        wait_for("the ephemeral goes", lambda: clients[0].exists("/expiring") is None)
    took = time.monotonic() - started
    log(f"{servers.name}: an ephemeral with a timeout of 4 s went after {took:.1f} s")
    return 3.9 <= took <= 7


def compare(expected, found, what):
    wrong = [f"{name}: {found[name]} {what}, {outcome} on Debian's ZooKeeper"
             for name, outcome in expected.items() if found[name] != outcome]
    assert not wrong, "\n".join(wrong)


def quiet():
    with ZooKeeper() as theirs:
        expected = all_quiet(theirs)
    with Polyquorum(3) as ours:
        compare(expected, all_quiet(ours), "on ours")
    log(f"{len(expected)} recipes: the same outcomes on three of ours as on Debian's ZooKeeper")


class Fault(threading.Thread):
    """Kills the leader, waits for the next one, brings the killed one back."""

    def __init__(self, servers, victim):
        super().__init__(daemon=True)
        self.servers, self.victim = servers, victim
        self.done = False

    def run(self):
        time.sleep(0.1)
        started = time.monotonic()
        self.servers.kill(self.victim)
        self.servers.leader()
        self.gap = time.monotonic() - started
        time.sleep(0.3)
        self.servers.restart(self.victim)
        self.done = True


def under_fault(servers, recipe, expected, at_leader):
    """Plays the recipe over and over until the leader was killed and is back. With clients at the
    servers that stay up, no connection may be lost; with clients at the leader they move on."""
    leader = servers.leader()
    others = [i for i in servers.ids() if i != leader]
    with Clients(servers.address([leader] + others if at_leader else others)) as clients:
        fault = Fault(servers, leader)
        fault.start()
        rounds = 0
        while fault.is_alive() or rounds == 0:
            outcome = play(recipe, clients)
            assert outcome == expected, \
                f"{recipe.__name__}: {outcome} while the leader was killed, {expected} before"
            rounds += 1
        fault.join()
        assert fault.done, "the killed server did not come back"
        assert at_leader or clients.losses == 0, \
            f"{recipe.__name__}: {clients.losses} connections lost on servers that stayed up"
        assert clients.losses < 1000, f"{recipe.__name__}: a session was lost"
    return rounds, fault.gap


def killed():
    with Polyquorum(3) as ours:
        expected = all_quiet(ours)
        gaps, rounds = [], 0
        for at_leader, list_of in ((False, recipes.EXACT), (True, recipes.REPEATABLE)):
            for recipe in list_of:
                played, gap = under_fault(ours, recipe, expected[recipe.__name__], at_leader)
                gaps.append(gap)
                rounds += played
    log(f"{rounds} rounds of recipes over {len(gaps)} killed leaders: outcomes as without, no "
        f"connection lost on survivors; next leader after {sum(gaps) / len(gaps):.2f} s "
        f"(at most {max(gaps):.2f} s)")


if __name__ == "__main__":
    {"quiet": quiet, "killed": killed}[sys.argv[1]]()
