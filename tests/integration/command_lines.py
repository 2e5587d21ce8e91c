# SPDX-License-Identifier: Apache-2.0
# Debian's command lines zkCli.sh and cli_mt, scripted, on ours and on Debian's ZooKeeper; what they
# print must be equal once zxids, times, sessions and ports are masked.
"""command_lines.py zkcli|cli_mt"""
import difflib
import os
import re
import shutil
import subprocess
import sys
import threading

from cluster import Polyquorum, ZooKeeper, log, skip

ZKCLI = "/usr/share/zookeeper/bin/zkCli.sh"
CLI_MT = "/usr/lib/zookeeper/bin/cli_mt"
ZKCLI_SCRIPT = """create /cli first
create /cli again
create -s /cli/s- a
create -s /cli/s- b
create -e /cli/e mine
create -c /cli/box
create -t 100000 /cli/short lived
create -e -s /cli/es- x
create nonsense
create /none/child x
ls -s /cli
ls -R /cli
get -s /cli
get /cli/none
set -s /cli second
set -v 7 /cli third
set -v 1 /cli third
get /cli
stat /cli
stat -w /cli/later
create /cli/later x
ls -w /cli
create /cli/e/child x
delete /cli/later
get -w /cli
set /cli fourth
addWatch -m PERSISTENT_RECURSIVE /cli
create /cli/deep d
create /cli/deep/er d
set /cli/deep/er e
delete -v 3 /cli/deep/er
delete /cli/deep/er
removewatches /cli
set /cli/deep quiet
delete /cli
getAcl /cli
addauth digest bob:one
create /cli/secret s auth::cdrwa
getAcl -s /cli/secret
setAcl /cli/deep world:anyone:r
set /cli/deep refused
setAcl /cli/deep world:anyone:cdrwa
setAcl /cli/deep nonsense:x:r
getEphemerals
getEphemerals /cli/es
getAllChildrenNumber /cli
sync /cli
setquota -n 3 /cli/box
listquota /cli/box
create /cli/box/a x
create /cli/box/b x
listquota /cli/box
delquota /cli/box
listquota /cli/box
whoami
reconfig -remove 1
delete /zookeeper
deleteall /cli
ls /
quit
"""
NOTICE = re.compile(r"\n(WATCHER::|WatchedEvent [^\n]*)\n")  # what its watcher prints, each in one go
CLI_MT_SCRIPT = """create /cmt
create /cmt
create +s /cmt/s-
create +e /cmt/e
create2 /cmt/two
create2 +c /cmt/box
set /cmt hello
set /cmt/none x
get /cmt
get /cmt/none
ls /cmt
ls2 /cmt
exists /cmt
exists /cmt/none
wexists /cmt/later
create /cmt/later
delete /cmt/later
delete /cmt
sync /cmt
addauth digest bob:one
delete /cmt/e
delete /cmt/two
"""


def masked(text):
    for pattern, mask in (
            (r"0x[0-9a-fA-F]+", "0x?"), (r"127\.0\.0\.1:\d+", "server"),
            (r"([cm]time) ?= ?.*", r"\1 = time"), (r"\(CONNECT[A-Z]+\)", "()"),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+", "time"),
            (r"\w{3} \w{3} +\d+ [\d:]+ .*", "time"),
            (r"([cmp]zxid) ?= ?\w+", r"\1=?"), (r"(127.0.0.1:\d+|server)(,server)+", "server"),
            (r"zxid: ?-?\d+", "zxid: ?")):  # of a notice: -1 up to 3.8, the change's since 3.9
        text = re.sub(pattern, mask, text)
    return text


def zkcli(address, script):
    """Notices are printed by a thread of its own, also in the middle of a line, so they are told apart from
    what commands say."""
    done = subprocess.run(["bash", ZKCLI, "-server", address, "-timeout", "20000"],
                          input=script, text=True, capture_output=True, timeout=90,
                          env={**os.environ, "JVMFLAGS": "-Xmx128m", "USER": "test",
                               "CLIENT_JVMFLAGS": "-XX:TieredStopAtLevel=1"})
    notices = [masked(found[1]) for found in NOTICE.finditer(done.stdout)
               if found[1] != "WATCHER::" and "state:Closed" not in found[1]]
    # Closed is the client's own, printed if it does not exit before.
    said = []
    for line in (NOTICE.sub("", done.stdout) + "\n" + errors_of(done.stderr)).splitlines():
        line = re.sub(r"\[zk: [^\]]*\] ?", "", masked(line)).strip()
        if line and "SLF4J" not in line and "elcome" not in line:
            said.append(sorted_list(line))
    identities = [at for at, line in enumerate(said) if re.match(r"(ip|digest): ", line)]
    for at, line in zip(identities, sorted(said[at] for at in identities)):
        said[at] = line  # whoami names them in no promised order
    return said, notices, done.returncode


def errors_of(text):
    return "\n".join(line for line in text.splitlines() if "SLF4J" not in line)


def sorted_list(line):
    """A printed list of children, in order: ZooKeeper's comes as its hash table has it."""
    found = re.fullmatch(r"\[(.*)\]", line)
    return f"[{', '.join(sorted(found[1].split(', ')))}]" if found else line


def cli_mt(address, script):
    """All commands in one go; answers come in order on a thread of their own, so that the last
    one's answer says that all are there. What both threads print is compared as a set of lines."""
    process = subprocess.Popen(["stdbuf", "-oL", CLI_MT, address], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    timer = threading.Timer(60, process.kill)
    timer.start()
    process.stdin.write(script + "sync /end\n")
    process.stdin.flush()
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("[/end]: rc"):
            process.stdin.write("quit\n")
            process.stdin.close()
    code = process.wait()
    timer.cancel()
    # A value is printed without an end of line, and one of the other thread may come before that.
    lines = re.sub(r"(?<=[^\n])(Error -\d+ for |Creating \[)", r"\n\1", "".join(lines)).splitlines()
    told = [masked(line.strip()) for line in lines if not line.startswith("time = ")]
    return sorted(line for line in told if line), [], code


def compare(name, play, script):
    results = {}
    for kind in (ZooKeeper, Polyquorum):
        with kind() if kind is ZooKeeper else kind(3) as servers:
            results[kind.name] = play(servers.address(), script)
    theirs, ours = results["zookeeper"], results["polyquorum"]
    wrong = [line for at in (0, 1) for line in difflib.unified_diff(
        theirs[at], ours[at], "ZooKeeper", "Polyquorum", lineterm="", n=2)]
    if wrong or theirs[2] != ours[2]:
        log("\n".join(wrong), f"\nexit codes: {theirs[2]} and {ours[2]}")
        sys.exit(1)
    assert len(theirs[0]) > len(script.splitlines()) // 2, theirs
    log(f"{name}: {len(script.splitlines())} commands, {len(theirs[0])} lines and {len(theirs[1])} "
        "notices, the same on both")


def need_tools():
    if not os.path.exists(ZKCLI):
        skip("Debian's package zookeeper is not installed")
    if not os.path.exists(CLI_MT) or shutil.which("stdbuf") is None:
        skip("Debian's package zookeeper-bin is not installed")


def main():
    need_tools()
    if sys.argv[1] == "zkcli":
        compare("zkCli.sh", zkcli, ZKCLI_SCRIPT)
    else:
        compare("cli_mt", cli_mt, CLI_MT_SCRIPT)


if __name__ == "__main__":
    main()
