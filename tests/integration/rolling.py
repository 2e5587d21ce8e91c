# SPDX-License-Identifier: Apache-2.0
# Stock clients at work on two of three servers while the third is killed and restarted, again and again, each
# server in turn, leaders first, under load: what they see and print is what they do when nothing happens.
"""rolling.py [--kills N]: each server is killed at least N times"""
import argparse
import collections
import itertools
import tempfile
import threading

import curator
import kazoo_recipes
from cluster import Polyquorum, log, wire
from command_lines import CLI_MT_SCRIPT, ZKCLI_SCRIPT, cli_mt, need_tools, zkcli
from load import Writer, flow

roots = itertools.count(1)


def kazoo(address):
    """{name: outcome} of every recipe; a lost connection raises."""
    kazoo_recipes.numbers = itertools.count(1)
    with kazoo_recipes.Clients(address) as clients:
        outcomes = {recipe.__name__: kazoo_recipes.play(recipe, clients) for recipe in kazoo_recipes.recipes.EXACT}
        assert clients.losses == 0, f"kazoo: {clients.losses} connections lost"
    return outcomes


class Seat:
    """One of the servers, as a Writer sees it."""

    def __init__(self, servers, number):
        self.servers, self.number, self.port = servers, number, servers.ports[number]

    @property
    def kills(self):
        return self.servers.kills[self.number]


class Player(threading.Thread):
    """One kind of client, playing over and over until all have played once, each time below a root of its own."""

    def __init__(self, name, play, servers, ids):
        super().__init__(daemon=True)
        self.name, self.play, self.servers, self.ids = name, play, servers, ids
        self.outcomes, self.enough, self.failure = [], threading.Event(), None

    def once(self):
        """The outcome as text, without the root."""
        root = f"/r{next(roots):06}"
        maker = wire.Client(self.servers.ports[self.ids[0]])
        error, _ = maker.call(wire.CREATE, wire.create(root))
        assert error == 0, f"create {root}: {error}"
        maker.end()
        return repr(self.play(self.servers.address(self.ids) + root)).replace(root, "")

    def run(self):
        try:
            while not self.outcomes or not self.enough.is_set():
                self.outcomes.append(self.once())
        except BaseException as failure:  # told by the caller's thread
            self.failure = failure

    def check(self, expected):
        self.join()
        if self.failure is not None:
            raise self.failure
        for outcome in self.outcomes:
            assert outcome == expected, f"{self.name}: {outcome} while a server was killed, {expected} before"
        return len(self.outcomes)


def phase(ours, victim, plays, expected, writers):
    """Kills one server until every client has played at least once. Gives rounds by client, and kills of leaders."""
    others = [i for i in ours.ids() if i != victim]
    players = [Player(name, play, ours, others) for name, play in plays.items()]
    for player in players:
        player.start()
    leaders = 0
    while not all(player.outcomes or player.failure for player in players):
        leaders += ours.leader() == victim
        ours.kill(victim)
        ours.leader()
        flow(writers)
        ours.restart(victim)
        flow(writers)
    for player in players:
        player.enough.set()
    return collections.Counter({player.name: player.check(expected[player.name]) for player in players}), leaders


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=2)
    options = parser.parse_args()
    need_tools()
    with tempfile.TemporaryDirectory() as folder, Polyquorum(3) as ours:
        curator.compiled(folder)
        plays = {"kazoo": kazoo,
                 "Curator": lambda at: curator.play(folder, at, lambda: None, "--losses"),
                 "zkCli.sh": lambda at: zkcli(at, ZKCLI_SCRIPT),
                 "cli_mt": lambda at: cli_mt(at, CLI_MT_SCRIPT)}
        expected = {name: Player(name, play, ours, ours.ids()).once() for name, play in plays.items()}
        seats = [Seat(ours, i) for i in ours.ids()]
        writers = [Writer(f"w{n}", seats, first=n, depth=8) for n in range(3)]
        for writer in writers:
            writer.setup()
            writer.start(follow=True)
        rounds, leaders = collections.Counter(), 0
        while any(ours.kills[i] < options.kills for i in ours.ids()):
            leader = ours.leader()
            victim = min(ours.ids(), key=lambda i: (ours.kills[i] >= options.kills, i != leader, ours.kills[i]))
            played, led = phase(ours, victim, plays, expected, writers)
            rounds, leaders = rounds + played, leaders + led
            log(f"{sum(ours.kills.values())} kills, {leaders} of leaders; rounds: {dict(rounds)}")
        for writer in writers:
            writer.stopping = True
        for writer in writers:
            writer.join()
            if writer.client.socket is None:
                writer.connect()
            writer.verify()
    log(f"{dict(rounds)} rounds over {dict(ours.kills)} kills, {leaders} of leaders: all as without, no connection and "
        f"no session lost; {sum(w.acked for w in writers)} writes acknowledged, 0 lost")


if __name__ == "__main__":
    main()
