"""Where connections come from: the service account, and kubeconfigs of all sorts."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from desist.kube import connection
from desist.kube.connection import Connection, ConnectionProblem, FileToken


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def kubeconfig(folder: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None) -> Path:
    path = folder / "config"
    content = {
        "current-context": "one",
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u"}},
            {"name": "anonymous", "context": {"cluster": "c"}},
            {"name": "lost", "context": {"cluster": "nowhere", "user": "u"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://1.2.3.4:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_inline_data_are_decoded(tmp_path: Path) -> None:
    user = {"client-certificate-data": encoded("cert"), "client-key-data": encoded("key")}
    got = Connection.from_kubeconfig(kubeconfig(tmp_path, user, {"certificate-authority-data": encoded("ca")}))
    assert (got.server, got.ca, got.certificate, got.key) == ("https://1.2.3.4:6443", b"ca", b"cert", b"key")


def test_files_are_read_relative_to_the_kubeconfig_and_inline_data_win(tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    for name in ("ca", "cert", "key"):
        (tmp_path / "pki" / name).write_text(f"file {name}")
    user = {
        "client-certificate": "pki/cert",
        "client-key": "pki/key",
        "client-key-data": encoded("inline"),
    }
    got = Connection.from_kubeconfig(kubeconfig(tmp_path, user, {"certificate-authority": str(tmp_path / "pki/ca")}))
    assert (got.ca, got.certificate, got.key) == (b"file ca", b"file cert", b"inline")


async def test_tokens_come_from_text_or_from_a_file(tmp_path: Path) -> None:
    got = Connection.from_kubeconfig(kubeconfig(tmp_path, {"token": "abc"}))
    assert got.token is not None
    assert await got.token(False) == "abc"
    (tmp_path / "token").write_text("from a file\n")
    got = Connection.from_kubeconfig(kubeconfig(tmp_path, {"tokenFile": "token"}))
    assert got.token is not None
    assert await got.token(False) == "from a file"


def test_names_and_passwords_are_taken_and_never_shown(tmp_path: Path) -> None:
    got = Connection.from_kubeconfig(kubeconfig(tmp_path, {"username": "me", "password": "secret"}))
    assert got.basic == ("me", "secret")
    assert "secret" not in repr(got)


def test_a_context_can_be_chosen_and_may_have_no_user(tmp_path: Path) -> None:
    got = Connection.from_kubeconfig(kubeconfig(tmp_path, {"token": "abc"}), "anonymous")
    assert got.token is None


@pytest.mark.parametrize(
    ("user", "context", "told"),
    [
        ({"exec": {"command": "login"}}, None, "'exec', which is not supported"),
        ({"auth-provider": {"name": "x"}}, None, "'auth-provider', which is not supported"),
        ({"client-key": "missing"}, None, "cannot read .*missing"),
        ({"client-key-data": "?"}, None, "client-key-data is not base64"),
        ({}, "other", "has no context 'other'"),
        ({}, "lost", "has no cluster 'nowhere'"),
    ],
)
def test_what_is_wrong_with_a_kubeconfig_is_said(
    tmp_path: Path, user: dict[str, Any], context: str | None, told: str
) -> None:
    with pytest.raises(ConnectionProblem, match=told):
        Connection.from_kubeconfig(kubeconfig(tmp_path, user), context)


@pytest.mark.parametrize(
    ("text", "told"), [("a: [", "is not YAML"), ("- 1", "is not a kubeconfig"), ("{}", "no current-context")]
)
def test_files_that_are_no_kubeconfig_are_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ConnectionProblem, match=told):
        Connection.from_kubeconfig(path)


@pytest.mark.parametrize(
    ("host", "server"), [("10.0.0.1", "https://10.0.0.1:444"), ("fd00::1", "https://[fd00::1]:444")]
)
async def test_in_a_pod_the_service_account_is_used(tmp_path: Path, host: str, server: str) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_text("ca")
    got = Connection.in_cluster(tmp_path, {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "444"})
    assert (got.server, got.ca) == (server, b"ca")
    assert got.token is not None
    assert await got.token(False) == "t"


def test_outside_of_a_pod_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConnectionProblem, match="not in a pod"):
        Connection.in_cluster(tmp_path, {})
    with pytest.raises(ConnectionProblem, match="token"):
        Connection.in_cluster(tmp_path, {"KUBERNETES_SERVICE_HOST": "h"})


async def test_a_token_file_is_read_anew_when_it_is_old_and_when_that_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    token = FileToken(path)
    assert await token(False) == "first"
    path.write_text("second")
    assert await token(False) == "first"
    assert await token(True) == "second"
    path.write_text("third")
    monkeypatch.setattr(connection, "TOKEN_AGE", -1.0)
    assert await token(False) == "third"


@pytest.mark.parametrize("ca", [b"no certificate", b"\xff\xfe", b"\x00", b" "])
def test_a_certificate_that_is_none_is_refused_in_words(ca: bytes) -> None:
    with pytest.raises(ConnectionProblem, match="cannot be used"):
        Connection("https://x", ca=ca).ssl_context()
