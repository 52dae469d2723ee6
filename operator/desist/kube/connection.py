"""Where the API server is and who we are to it: from the service account in a pod, or from a kubeconfig.

Contract: a `Connection` is a frozen value; certificates are kept as bytes, tokens come from a `TokenSource`, because a
service account's token is rotated about every hour and a 401 must lead to reading it anew. The cluster's authorities
are replaced too, seldom, and while we run: `trusting_anew` gives the same connection with those that their file holds
by then. Raises ConnectionProblem, whose message names the file and what is missing. Clients that log in by a program
(`exec`, `auth-provider`) are refused in words: the operator's image has no such program, and a host can write a token
into its kubeconfig.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import yaml

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_AGE = 60.0
"""Seconds after which a token file is read again."""


class ConnectionProblem(ValueError):
    """There is no usable connection; the message says what is missing where."""


class TokenSource(Protocol):
    """Gives the bearer token."""

    async def __call__(self, renew: bool) -> str:
        """The token; `renew` after a 401: do not answer from memory."""


@dataclass(slots=True)
class FixedToken:
    """A token that does not change."""

    token: str

    async def __call__(self, renew: bool) -> str:
        """Always the same one."""
        return self.token


@dataclass(slots=True)
class FileToken:
    """A token in a file that somebody else rotates."""

    path: Path
    _token: str = ""
    _read_at: float = float("-inf")

    async def __call__(self, renew: bool) -> str:
        """From memory for a minute. Raises ConnectionProblem where the file cannot be read."""
        if renew or time.monotonic() - self._read_at > TOKEN_AGE:
            self._token = _read(self.path).decode().strip()
            self._read_at = time.monotonic()
        return self._token


@dataclass(frozen=True, slots=True)
class Connection:
    """One API server and one identity."""

    server: str
    """URL without a path's slash at its end."""
    ca: bytes = b""
    """PEM; empty: the system's authorities."""
    token: TokenSource | None = None
    basic: tuple[str, str] | None = field(default=None, repr=False)
    """User name and password."""
    certificate: bytes = b""
    """PEM of the client."""
    key: bytes = field(default=b"", repr=False)
    insecure: bool = False
    """Whether the server's certificate is not looked at."""
    server_name: str = ""
    """Name that the server's certificate bears, where it is not the URL's."""
    ca_file: Path | None = None
    """Where the service account's authorities were read; None: they do not change."""

    @classmethod
    def in_cluster(cls, folder: Path = SERVICE_ACCOUNT, environ: Mapping[str, str] | None = None) -> Connection:
        """The service account of this pod, at the address of the API server's Service: DNS is not needed.

        Raises ConnectionProblem where this is no pod.
        """
        variables = os.environ if environ is None else environ
        host, port = variables.get("KUBERNETES_SERVICE_HOST"), variables.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise ConnectionProblem("not in a pod: KUBERNETES_SERVICE_HOST is not set")
        _read(folder / "token")
        bracketed = f"[{host}]" if ":" in host else host
        authorities = folder / "ca.crt"
        token = FileToken(folder / "token")
        return cls(f"https://{bracketed}:{port}", ca=_read(authorities), token=token, ca_file=authorities)

    @classmethod
    def from_kubeconfig(cls, path: Path, context: str | None = None) -> Connection:
        """A context of a kubeconfig; None: its current one. Raises ConnectionProblem."""
        return _Kubeconfig.load(path).connection(context)

    def trusting_anew(self) -> Connection:
        """The same with its authorities read anew. Raises ConnectionProblem."""
        if self.ca_file is None:
            return self
        read = _read(self.ca_file)
        if not read.strip():  # that would mean the system's authorities
            raise ConnectionProblem(f"{self.ca_file} is empty")
        return replace(self, ca=read)

    def ssl_context(self) -> ssl.SSLContext:
        """TLS as this connection wants it. Raises ConnectionProblem where a certificate cannot be used."""
        # What people write between certificates may be in any letters; ssl takes ASCII alone. Nothing is left out:
        # where nothing remained, the system's authorities would count.
        authorities = self.ca.decode("ascii", "backslashreplace") if self.ca else None
        try:
            context = ssl.create_default_context(cadata=authorities)
            if self.insecure:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self.certificate:
                _load_client_certificate(context, self.certificate, self.key)
        except ssl.SSLError as error:
            raise ConnectionProblem(f"certificates for {self.server} cannot be used: {error}") from error
        return context


def _load_client_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Python's ssl takes files only: one that lives for this call, readable for us alone."""
    with tempfile.NamedTemporaryFile(prefix="desist-") as file:
        file.write(certificate + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)


@dataclass(frozen=True, slots=True)
class _Kubeconfig:
    path: Path
    content: Mapping[str, Any]

    @classmethod
    def load(cls, path: Path) -> _Kubeconfig:
        try:
            content = yaml.safe_load(_read(path))
        except yaml.YAMLError as error:
            raise ConnectionProblem(f"{path} is not YAML: {error}") from error
        if not isinstance(content, Mapping):
            raise ConnectionProblem(f"{path} is not a kubeconfig")
        return cls(path, content)

    def connection(self, context: str | None) -> Connection:
        name = context or self.content.get("current-context")
        if not name:
            raise ConnectionProblem(f"{self.path} has no current-context")
        chosen = self._named("context", str(name))
        cluster = self._named("cluster", str(chosen.get("cluster", "")))
        user = self._named("user", str(chosen["user"])) if chosen.get("user") else {}
        if not cluster.get("server"):
            raise ConnectionProblem(f"{self.path}: the cluster {chosen.get('cluster')!r} has no server")
        return Connection(
            server=str(cluster["server"]).rstrip("/"),
            ca=self._data(cluster, "certificate-authority"),
            token=self._token(user),
            basic=(str(user["username"]), str(user.get("password", ""))) if user.get("username") else None,
            certificate=self._data(user, "client-certificate"),
            key=self._data(user, "client-key"),
            insecure=bool(cluster.get("insecure-skip-tls-verify", False)),
            server_name=str(cluster.get("tls-server-name") or ""),
        )

    def _named(self, kind: str, name: str) -> Mapping[str, Any]:
        for entry in self.content.get(f"{kind}s") or ():
            if entry.get("name") == name:
                return entry.get(kind) or {}
        raise ConnectionProblem(f"{self.path} has no {kind} {name!r}")

    def _data(self, entry: Mapping[str, Any], field_name: str) -> bytes:
        """Inline base64 wins over a file, as in kubectl."""
        if inline := entry.get(f"{field_name}-data"):
            try:
                return base64.b64decode(inline, validate=True)
            except (binascii.Error, ValueError) as error:
                raise ConnectionProblem(f"{self.path}: {field_name}-data is not base64") from error
        return _read(self._relative(entry[field_name])) if entry.get(field_name) else b""

    def _token(self, user: Mapping[str, Any]) -> TokenSource | None:
        for unsupported in ("exec", "auth-provider"):
            if unsupported in user:
                raise ConnectionProblem(
                    f"{self.path}: the user logs in by {unsupported!r}, which is not supported; "
                    "use a token, tokenFile or a client certificate"
                )
        if user.get("tokenFile"):
            return FileToken(self._relative(user["tokenFile"]))
        return FixedToken(str(user["token"])) if user.get("token") else None

    def _relative(self, path: str) -> Path:
        """Relative to the kubeconfig, not to where we were started."""
        return self.path.parent / path


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConnectionProblem(f"cannot read {path}: {error.strerror}") from error
