"""Runs a command while every datagram to the port of push is dropped on all nodes: nothing may need them.

Contract: `python -m hack.nightly COMMAND...` puts the rules there, runs the command with DESIST_DATAGRAMS=dropped in
its environment (tests that are about push itself are skipped then), takes the rules away, says how many datagrams met
them, and exits with the command's code, or with 1 where there were none: then nothing was tried. `--off` takes away
what a run that was killed has left. A node that is started again while the command runs drops them too: a unit of its
systemd puts the rule there before its kubelet starts, and the count begins anew.
Rejected: switching push off by the chart's value. Then nothing is sent, and nobody waits for an answer that does not
come; that is tests/cluster/push/test_switched_off.py.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import yaml

from hack.cluster.api import ClusterError, cluster_lock, node_names
from hack.cluster.commands import answer
from hack.cluster.engine import Engine, current
from hack.image.release import CHART

VARIABLE, DROPPED = "DESIST_DATAGRAMS", "dropped"
TABLE = "desist-nightly"
RULES_FILE, UNIT = f"/etc/{TABLE}.nft", f"{TABLE}.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
UNIT_TEXT = f"""\
[Unit]
Description=Drops datagrams to the port of push
Before=kubelet.service

[Service]
Type=oneshot
ExecStart=/usr/sbin/nft -f {RULES_FILE}

[Install]
WantedBy=multi-user.target
"""
PUT = f"systemctl daemon-reload && systemctl enable --quiet --now {UNIT}"
TAKE = f"systemctl disable --quiet {UNIT}; rm -f {RULES_FILE} {UNIT_FILE}; nft delete table inet {TABLE}; true"


def main() -> int:
    """The command's exit code."""
    parser = argparse.ArgumentParser(prog="python -m hack.nightly", description=__doc__)
    parser.add_argument("--off", action="store_true", help="only take the rules away")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    # Told to end, it takes the rules away first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with cluster_lock():
            return _taken_away() if given.off else _run(given.command)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(command: list[str]) -> int:
    with dropping(port()):
        code = subprocess.call(command, env=os.environ | {VARIABLE: DROPPED})
        met = sum(count(node) for node in node_names())
    print(f"{met} datagrams to port {port()} were dropped on the nodes", flush=True)
    return code or int(met == 0)


def _taken_away() -> int:
    for node in node_names():
        take(node)
    return 0


def port() -> int:
    """The one that the chart's values name."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    return int(values["push"]["port"])


def rules(port: int) -> str:
    """What nft is given: the same text makes the table and makes it anew."""
    drop = f"udp dport {port} counter name dropped drop"
    hooks = "".join(
        f"  chain {hook} {{ type filter hook {hook} priority raw; policy accept; {drop}; }}\n"
        for hook in ("prerouting", "output")
    )
    return f"table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n  counter dropped {{ }}\n{hooks}}}\n"


@contextmanager
def dropping(port: int) -> Iterator[None]:
    """All nodes drop what is sent to this port, from and to whomever."""
    try:
        for node in node_names():
            _write(node, RULES_FILE, rules(port))
            _write(node, UNIT_FILE, UNIT_TEXT)
            _in(node, PUT)
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _taken_away()


def take(node: str) -> None:
    """Without the rule, whether it was there or not; a node that is down keeps it until `--off`."""
    engine = current()
    answer(["docker", "exec", node, "sh", "-c", TAKE], engine.how())


def count(node: str) -> int:
    """How many the node has dropped since it was started."""
    listed = answer(["docker", "exec", node, "nft", "-j", "list", "counters", "table", "inet", TABLE], current().how())
    found = json.loads(listed)["nftables"] if listed else []
    return sum(int(each["counter"]["packets"]) for each in found if "counter" in each)


def _write(node: str, file: str, text: str) -> None:
    engine: Engine = current()
    engine.docker("exec", "--interactive", node, "sh", "-c", f"cat >{file}", how=engine.how(stdin=text))


def _in(node: str, script: str) -> None:
    current().docker("exec", node, "sh", "-c", script)


if __name__ == "__main__":
    sys.exit(main())
