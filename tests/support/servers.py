# SPDX-License-Identifier: Apache-2.0
"""What all tests on real server processes need: the program, its configuration and command line, free ports,
four-letter words, patience."""
import os
import pathlib
import socket
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("POLYQUORUM", str(ROOT / "build/bin/polyquorum"))


class Trouble(AssertionError):
    """A promise was broken; the text says which."""


def wait_for(what, check, patience=60.0):
    """Asks again until it is true, and gives what check() said: something that another process brings about."""
    until = time.monotonic() + patience
    while not (value := check()):
        if time.monotonic() > until:
            raise Trouble(f"not within {patience:g} s: {what}")
        time.sleep(0.02)
    return value


def bindable(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def word(port, name, patience=3.0):
    """The answer to a four-letter word; empty if there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=patience) as sock:
            sock.sendall(name.encode())
            answer = b""
            while part := sock.recv(65536):
                answer += part
            return answer.decode(errors="replace")
    except OSError:
        return ""


def facts(port):
    """mntr as a dictionary; empty if it does not answer."""
    return dict(line.split("\t", 1) for line in word(port, "mntr").splitlines() if "\t" in line)


def configuration(name, ports, observers=(), kernel="", storage="file", api=""):
    """The text of cluster.yaml; ports: {id: (the peers', the clients')}."""
    rows = "".join(f"    - {{ id: {i}, peer: 127.0.0.1:{peer}, zookeeper: 127.0.0.1:{client}, data: data/{i}"
                   f"{', role: observer' if i in observers else ''} }}\n" for i, (peer, client) in ports.items())
    return (f"cluster:\n  name: {name}\n  servers:\n{rows}{kernel}plugins:\n"
            f"  election: {{ use: fast_leader }}\n  consensus: {{ use: zab }}\n  storage: {{ use: {storage} }}\n"
            f"  transport: {{ use: tcp }}\n  api: [ {{ use: zookeeper{api} }} ]\n")


def server_command(program, config, number, bootstrap):
    return [program, "server", "--config", str(config), "--id", str(number),
            *(["--bootstrap"] if bootstrap else [])]
