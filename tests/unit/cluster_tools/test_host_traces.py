"""Which packet filter rules of a host are an engine's of our own."""

from __future__ import annotations

import pytest

from hack.cluster.host_traces import Ours, rule_is_ours

OURS = Ours("desist", (), "172.30.16.0/20")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER", True),
        ("-A FORWARD -i br-3fce9cc7b30c -j ACCEPT", True),
        ("-A POSTROUTING -s 172.30.16.4/32 -d 172.30.16.4/32 -p tcp -j MASQUERADE", True),
        ("-A POSTROUTING -s 172.30.31.255/32 -j MASQUERADE", True),
        ("-A POSTROUTING -s 172.30.32.0/24 -j MASQUERADE", False),
        ("-A FORWARD -i br-0123456789ab -j ACCEPT", False),
        ("-A INPUT -s 10.0.0.1/32 -j DROP", False),
    ],
)
def test_a_rule_is_ours_by_chain_bridge_or_address(rule: str, expected: bool) -> None:
    assert rule_is_ours(rule, OURS, ["br-3fce9cc7b30c"]) is expected
