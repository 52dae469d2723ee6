"""Which programs of PATH fit, and what of this machine a privileged container must do without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hack.cluster import golang, tools
from hack.cluster.capabilities import lacking
from hack.cluster.golang import minor_version, version_fits
from hack.cluster.tools import helm_fits, kind_fits, kubectl_fits


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ("kind v0.33.0 go1.26.3 linux/amd64", True),
        ("kind v0.33.1 go1.26.3 linux/amd64", True),
        ("kind v0.32.0 go1.26.3 linux/amd64", False),
        ("kind v0.330.0 go1.26.3 linux/amd64", False),
    ],
)
def test_kind_fits_by_its_minor_version(said: str, fits: bool) -> None:
    assert kind_fits(said) is fits


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("v1.36.0", True),
        ("v1.35.9", True),
        ("v1.37.1+k3s1", True),
        ("v1.34.2", False),
        ("v1.38.0", False),
        ("v1.36.4-dispatcher", False),
        ("v2.36.0", False),
    ],
)
def test_kubectl_fits_within_one_minor_version(version: str, fits: bool) -> None:
    assert kubectl_fits(json.dumps({"clientVersion": {"major": "1", "gitVersion": version}})) is fits


@pytest.mark.parametrize(
    ("said", "fits"), [("v3.17.0+g1", True), ("v3.21.4", True), ("v3.16.4", False), ("v4.0.0", False)]
)
def test_helm_fits_from_3_17_on(said: str, fits: bool) -> None:
    assert helm_fits(said) is fits


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ("go version go1.26.8 linux/amd64", True),
        ("go version go1.27rc1 linux/amd64", True),
        ("go version go1.25.9 linux/amd64", False),
        ("gccgo", False),
        (None, False),
    ],
)
def test_go_fits_from_1_26_on(said: str | None, fits: bool) -> None:
    assert version_fits(said) is fits


def test_lacking_capabilities_are_named_up_to_the_kernels_last() -> None:
    status = "Name:\tx\nCapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\n"
    assert lacking(status, last=40) == ["CAP_SYS_RESOURCE"]
    assert lacking("CapBnd:\t000000ffffffffff\n", last=39) == []
    assert lacking("CapBnd:\t000000ffffffffff\n", last=40) == ["CAP_CHECKPOINT_RESTORE"]


def test_a_programs_key_has_the_compilers_minor_version_and_not_its_patch_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def key_with(said: str | None) -> str:
        minor = minor_version(said)
        monkeypatch.setattr(golang, "_on_path", lambda: (Path("/go"), minor) if minor else None)
        return golang.key(golang.SCRATCH)

    pinned = key_with(None)
    assert key_with("go version go1.26.0 linux/amd64") == key_with("go version go1.26.8 linux/amd64") == pinned
    assert key_with("go version go1.27.1 linux/amd64") != pinned


def test_what_needs_cgo_is_linked_statically_too() -> None:
    cgo = [program for program in golang.NODE_PROGRAMS if program.cgo]
    assert cgo
    assert all("-extldflags -static" in program.flags()[-1] for program in cgo)


def test_the_line_for_a_shell_names_only_folders_that_path_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESIST_HOME", str(tmp_path))
    on_path = {"kubectl": Path("/usr/bin/kubectl"), "helm": None}
    monkeypatch.setattr(tools, "on_path", lambda name: on_path[name])
    monkeypatch.setattr(tools, "tool", lambda name: on_path[name] or tmp_path / "helm-1" / "helm")
    assert tools.shell_line() == f"export KUBECONFIG={tmp_path}/kubeconfig PATH={tmp_path}/helm-1:$PATH"
    on_path["helm"] = Path("/usr/bin/helm")
    assert tools.shell_line() == f"export KUBECONFIG={tmp_path}/kubeconfig"
