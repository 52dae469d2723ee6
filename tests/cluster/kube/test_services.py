"""The cluster that the project makes stays one: an hour after its start its services are still to be reached."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.side_by_side

PROXIES = ("--namespace", "kube-system", "--selector", "k8s-app=kube-proxy")
LIST = ("nft", "--json", "list", "map", "ip", "kube-proxy", "service-ips")


def test_kube_proxy_knows_its_own_services_again(kubectl: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Each hour it lists them, and deletes what it does not know: where its nft prints a protocol's number, all."""
    pods = kubectl("get", "pods", *PROXIES, "--output", "name").stdout.split()
    assert pods
    for pod in pods:
        listed = kubectl("exec", "--namespace", "kube-system", pod, "--", *LIST)
        assert listed.returncode == 0, listed.stderr
        elements = next(each["map"]["elem"] for each in json.loads(listed.stdout)["nftables"] if "map" in each)
        assert {key["concat"][1] for key, _ in elements} == {"tcp", "udp"}, pod
