"""What on a host is an engine's of our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from hack.cluster.host_traces import Ours, cut_off, ends_in, rule_is_ours

OURS = Ours("desist-1", (Path("/s/run"), Path("/s/engine")), "172.30.16.0/20")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (":DOCKER-FORWARD - [0:0]", True),
        (":POSTROUTING ACCEPT [0:0]", False),
        ("# Generated for DOCKER", False),
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


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (":DOCKER - [0:0]", False),
        ("-A FORWARD -j DOCKER-USER", False),
        ("-A FORWARD -i br-3fce9cc7b30c -j DOCKER-FORWARD", True),
        ("-A DOCKER -d 172.30.16.2/32 -p tcp -j ACCEPT", True),
    ],
)
def test_beside_another_engine_only_rules_of_our_bridges_and_networks_are_ours(rule: str, expected: bool) -> None:
    assert rule_is_ours(rule, OURS, ["br-3fce9cc7b30c"], alone=False) is expected


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("dockerd", ["dockerd", "--config-file", "/s/engine/daemon.json"], True),
        ("dockerd", ["dockerd", "--config-file", "/etc/docker/daemon.json"], False),
        ("containerd-shim", ["shim", "-address", "/s/run/exec/containerd/containerd.sock"], True),
        ("containerd-shim", ["shim", "-address", "/run/containerd/containerd.sock"], False),
        ("containerd", ["containerd", "--config", "/s/runner/containerd.toml"], False),
        ("docker-proxy", ["docker-proxy", "-container-ip", "172.30.17.3"], True),
        ("docker-proxy", ["docker-proxy", "-container-ip", "172.17.0.3"], False),
        ("tail", ["tail", "-f", "/s/engine/log"], False),
    ],
)
def test_a_process_is_ours_by_its_name_and_our_folders_or_addresses(
    name: str, arguments: list[str], expected: bool
) -> None:
    assert OURS.has_process(name, arguments) is expected


@pytest.mark.parametrize(
    ("place", "expected"), [("/s/engine/data/overlay2/x/merged", True), ("/s/engineer/x", False), ("/s", False)]
)
def test_a_mount_is_ours_below_our_folders(place: str, expected: bool) -> None:
    assert OURS.has_mount(place) is expected


def test_ends_of_pairs_are_found_by_the_bridge_that_they_are_in() -> None:
    links = [
        "61: veth3461417@if60: <BROADCAST,UP> mtu 1500 qdisc noqueue master br-6b1b248a0967 state UP mode DEFAULT",
        "63: vethab0fe0f@if62: <BROADCAST,UP> mtu 1500 qdisc noqueue master docker0 state UP mode DEFAULT",
        "65: vethddffe0f@if64: <BROADCAST> mtu 1500 qdisc noop state DOWN mode DEFAULT",
    ]
    assert ends_in(["br-6b1b248a0967"], links) == ["veth3461417"]
    assert ends_in([], links) == []


def test_only_what_is_in_the_engines_own_bridges_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "address": "9: br-6b1b248a0967    inet 172.30.16.1/20 scope global\n"
        "8: br-000000000000    inet 10.9.0.1/24 scope global",
        "link": "61: veth3461417@if60: <UP> mtu 1500 master br-6b1b248a0967 state UP\n"
        "63: vethab0fe0f@if62: <UP> mtu 1500 master br-000000000000 state UP",
    }
    ran: list[list[str]] = []

    def answer(command: list[str]) -> str:
        ran.append(command)
        return next((text for word, text in said.items() if word in command and "show" in command), "")

    monkeypatch.setattr("hack.cluster.host_traces.answer", answer)
    cut_off(OURS)
    assert [command for command in ran if "delete" in command] == [["ip", "link", "delete", "veth3461417"]]


def test_what_is_no_address_belongs_to_nobody() -> None:
    assert not OURS.has_address("version 172.30.16.999")
