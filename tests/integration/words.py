# SPDX-License-Identifier: Apache-2.0
# The four-letter words of ours beside those of Debian's ZooKeeper: the same lines and keys, so that
# monitoring that parses them goes on working. Values differ; docs/compatibility.md names lines that do.
import re

from cluster import Polyquorum, ZooKeeper, log, wire, word

WORDS = ("ruok", "srvr", "stat", "cons", "conf", "envi", "isro", "wchs", "wchc", "wchp", "dump",
         "mntr", "gtmk", "crst", "srst")
EXACT = ("ruok", "isro", "crst", "srst", "wchs", "gtmk")
ABSENT = {  # word: (lines of ZooKeeper's that ours does not have, why)
    "conf": (r"data(Log)?(Dir|Size|DirSize)", "the data folder is not this plugin's to know"),
    "envi": (r"(java|user|os\.memory)\..*", "there is no Java"),
    "dump": (r".*expire at.*|\t#", "sessions are listed with their timeouts, not by tick of expiry"),
}
MONITORED = (  # of mntr: those that the usual monitors read
    "version", "server_state", "avg_latency", "max_latency", "min_latency", "packets_received",
    "packets_sent", "num_alive_connections", "outstanding_requests", "znode_count", "watch_count",
    "ephemerals_count", "approximate_data_size", "open_file_descriptor_count",
    "max_file_descriptor_count", "uptime", "global_sessions", "last_proposal_size")


def shape(name, text):
    """The lines with their values taken out."""
    if name in EXACT:
        return text.splitlines()
    lines = []
    for line in text.splitlines():
        if name == "mntr":
            line = line.partition("\t")[0]
        elif name in ("conf", "envi"):
            line = line.partition("=")[0]
        else:
            line = re.sub(r"0x[0-9a-f]+|\d+(\.\d+)*|/[\d.]+:", "#", line)
            line = re.sub(r"version: .*", "version:", line)
        lines.append(line)
    return lines


def answers(servers):
    port = servers.ports[1]
    client = wire.Client(port)
    client.call(wire.CREATE, wire.create("/w", flags=1))
    client.call(wire.GET_DATA, wire.watched("/w", True))
    found = {name: word(port, name) for name in WORDS}
    client.close()
    return found


def main():
    with ZooKeeper() as theirs:
        expected = answers(theirs)
    with Polyquorum() as ours:
        found = answers(ours)
    wrong = []
    for name in WORDS:
        lines = shape(name, found[name])
        absent = re.compile(ABSENT[name][0] if name in ABSENT else r"(?!)")
        for line in shape(name, expected[name]):
            needed = line[3:] in MONITORED if name == "mntr" else not absent.fullmatch(line)
            if needed and line not in lines:
                wrong.append(f"{name}: ours lacks the line {line!r}")
    assert not wrong, "\n".join(wrong)
    log(f"{len(WORDS)} four-letter words have the lines of Debian's ZooKeeper; mntr has "
        f"{len(shape('mntr', found['mntr']))} keys, theirs {len(shape('mntr', expected['mntr']))}")


if __name__ == "__main__":
    main()
