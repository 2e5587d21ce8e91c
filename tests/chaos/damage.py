# SPDX-License-Identifier: Apache-2.0
"""Damaged logs: a torn tail is dropped, a flipped byte in the middle is reported and repaired from a peer,
nothing acknowledged is lost (promises.md P1.2, P1.3; plugins/storage/file/README.md)."""
import random
import re
import struct
import time

from cluster import Cluster, Trouble, wait_for
from load import Writer

SMALL, BIG = 2, 20
HEADER = 88
ATTEMPTS = 10


def records(path):
    """(offset, whole size, group, kind, lowest, highest index) of the records of a log file, in order."""
    raw, sequence, at, out = path.read_bytes(), int(path.name[4:], 16), 0, []
    while (at := raw.find(b"PqR1", at)) >= 0 and at + HEADER <= len(raw):
        number, position, group, size = struct.unpack_from("<QQQI", raw, at + 16)
        if at % 8 == 0 and number == sequence and position == at:
            low, high = struct.unpack_from("<QQ", raw, at + 64)
            out.append((at, HEADER + size, group, raw[at + 52], low, high))
        at += 4
    return out


def tear(server, draw):
    """The end of the newest log file was never written whole."""
    path = [p for p in server.wals() if records(p)][-1]
    at, size, *_ = records(path)[-1]
    cut = at + draw.randrange(1, size)
    mode = draw.choice(["truncated", "zeroed", "garbled"])
    with open(path, "r+b") as file:
        if mode == "truncated":
            file.truncate(cut)
        else:
            file.seek(cut)
            left = at + size - cut
            file.write(bytes(left) if mode == "zeroed" else draw.randbytes(left))
    return f"{mode} the last {at + size - cut} of {size} bytes of {path.name}"


def scribble(server, draw):
    """A group that was being written when the power went: part of it stands behind what is durable."""
    path = [p for p in server.wals() if records(p)][-1]
    whole = records(path)
    at, size, *_ = whole[-1]
    end = (at + size + 511) // 512 * 512
    with open(path, "r+b") as file:
        if draw.randrange(2):
            torn = draw.randbytes(draw.randrange(1, 5000))
        else:                                    # it looks like a record, but of another place
            old, length, *_ = draw.choice(whole)
            file.seek(old)
            torn = file.read(draw.randrange(1, length + 1))
        file.seek(end)
        file.write(torn)


def needed_records(server):
    """(file, record) of what stands in the middle of the log and is still needed; none right after a snapshot."""
    snapshot = max((int(p.name.split("-")[1], 16) for p in server.snapshots()), default=0)
    needed, rewritten = [], 1 << 63
    for path, r in reversed([(path, r) for path in server.wals() for r in records(path)]):
        if r[3] == 1 and r[4] > snapshot and r[5] < rewritten:
            needed.append((path, r))
        rewritten = min(rewritten, r[4] or rewritten)
    newest = max((r[2] for _, r in needed), default=0)
    return [(path, r) for path, r in needed if r[2] + 20 < newest]


def flip(needed, draw):
    """One bit of one of these records."""
    path, (at, size, group, _, low, high) = draw.choice(needed)
    place = at + draw.randrange(size)
    with open(path, "r+b") as file:
        file.seek(place)
        old = file.read(1)[0]
        file.seek(place)
        file.write(bytes([old ^ (1 << draw.randrange(8))]))
    return f"a bit at {place} of {path.name}, entries {low} to {high}", low, high


def rejoined(cluster, server, number):
    wait_for(f"server {number} follows or leads", lambda: cluster.check_alive() or
             server.facts().get("pq_phase") in ("following", "leading"), 30)


def under_load(cluster, writers, seconds, then):
    for writer in writers:
        writer.start(follow=True)
    time.sleep(seconds)
    then()
    time.sleep(0.5)
    for writer in writers:
        writer.stopping = True
    for writer in writers:
        writer.join()


def check(cluster, writers):
    for writer in writers:
        writer.connect()
        writer.verify()
    cluster.equal()


def torn_tail(cluster, writers, draw, number):
    server = cluster.servers[number % 3 + 1]
    leads = cluster.leader() is server
    under_load(cluster, writers, 1.0, server.kill)
    what = tear(server, draw)
    server.start()
    rejoined(cluster, server, number)
    check(cluster, writers)
    print(f"  torn: server {server.number}{' (led)' if leads else ''}, {what}: rejoined, equal", flush=True)


def flipped(cluster, writers, draw, number):
    """Every second time all three are down, so that the damaged one takes part in the first election."""
    server = cluster.servers[number % 3 + 1]
    everyone = number % 2 == 1
    hurt = list(cluster.servers.values()) if everyone else [server]
    for _ in range(ATTEMPTS):
        under_load(cluster, writers, 1.0, lambda: [s.kill() for s in hurt] if not everyone else None)
        if everyone:
            for each in hurt:
                each.kill()
        needed = needed_records(server)
        if needed:
            break
        for each in hurt:
            each.start()
        rejoined(cluster, server, number)
        check(cluster, writers)
    else:
        raise Trouble(f"{ATTEMPTS} times a snapshot held all that server {server.number} had")
    (what, low, high), life = flip(needed, draw), server.starts
    for each in hurt:
        each.start()
    rejoined(cluster, server, number)
    leader = cluster.leader()
    ranges = [re.search(r"first=(\d+) last=(\d+)", line) for line in server.said(r"log\.damaged", life)]
    if not any(int(r[1]) <= low and int(r[2]) >= high for r in ranges if r):
        raise Trouble(f"server {server.number} does not report: {what}")
    check(cluster, writers)
    server.kill()
    server.start()
    rejoined(cluster, server, number)
    again = server.said(r"log\.damaged", life + 1)
    check(cluster, writers)
    if again:
        raise Trouble(f"server {server.number} was not repaired: {again}")
    print(f"  flipped: server {server.number}{', all were down' if everyone else ''}, {what}: "
          f"reported as {ranges[-1][0]}, repaired, leader {leader.number}", flush=True)


def rotten_snapshot(cluster, writers, draw, number):
    server = cluster.servers[number % 3 + 1]
    server.kill()
    newest = server.snapshots()[-1]
    raw = bytearray(newest.read_bytes())
    raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    newest.write_bytes(raw)
    life = server.starts
    server.start()
    rejoined(cluster, server, number)
    if not server.said(r"storage\.damaged", life):
        raise Trouble(f"server {server.number} does not report a flipped bit in {newest.name}")
    check(cluster, writers)
    print(f"  rotten: server {server.number}, a bit in {newest.name}: reported, rejoined, equal", flush=True)


def run(options, trials):
    draw = random.Random(options.seed)
    with Cluster("damage", options.port, options.binary, kernel="snapshots: { every: 20000 }\n") as cluster:
        servers = list(cluster.servers.values())
        writers = [Writer(f"w{n}", servers, first=n % 3, depth=16) for n in range(options.writers)]
        for writer in writers:
            writer.setup()
        for number in range(trials):
            torn_tail(cluster, writers, draw, number)
        for number in range(trials):
            flipped(cluster, writers, draw, number)
        for number in range(trials):
            rotten_snapshot(cluster, writers, draw, number)
        print(f"{trials} torn tails dropped, {trials} flipped bytes reported and repaired, "
              f"{trials} rotten snapshots survived, {sum(w.acked for w in writers)} acknowledged, 0 lost")
