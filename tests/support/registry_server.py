"""A registry that holds one image back: run in a pod on a node's own network, it serves what that node pulls.

Contract: `python3 -uc SOURCE PORT NAME`. It listens on the loopback address, from which containerd pulls without TLS,
and knows one image, `NAME:1`: `sleep` with the libraries that it needs, taken from the image that this runs in. A pull
gets the manifest at once and the layer when the file RELEASED is there. It says "listening" and "pulled" on stdout.
Only the standard library: it runs in the workload image, where nothing of this repository is.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import sys
import tarfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RELEASED = "/tmp/released"
UNIQUE_BYTES = 16
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def layer() -> bytes:
    """`sleep`, the loader and the C library, where a program looks for them."""
    libraries = f"{platform.machine()}-linux-gnu"
    files = {
        "/usr/bin/sleep",
        "/lib64/ld-linux-x86-64.so.2",
        "/lib/ld-linux-aarch64.so.1",
        f"/lib/{libraries}/libc.so.6",
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as archive:
        for path in files:
            if os.path.exists(path):
                archive.add(path, path.lstrip("/"))
        # A node that has had a layer before does not pull it again, whatever image it is of.
        unique = tarfile.TarInfo("unique")
        unique.size = UNIQUE_BYTES
        archive.addfile(unique, io.BytesIO(os.urandom(UNIQUE_BYTES)))
    return packed.getvalue()


def image() -> tuple[bytes, dict[str, bytes]]:
    """The manifest, and the blobs by their digest."""
    content = layer()
    root = {"type": "layers", "diff_ids": [digest_of(content)]}
    architecture = ARCHITECTURES[platform.machine()]
    config = json.dumps({"architecture": architecture, "os": "linux", "config": {}, "rootfs": root}).encode()
    described = [
        {"mediaType": kind, "digest": digest_of(blob), "size": len(blob)}
        for kind, blob in ((CONFIG, config), (LAYER, content))
    ]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described[0], "layers": described[1:]}
    return json.dumps(manifest).encode(), {digest_of(config): config, digest_of(content): content}


class Handler(BaseHTTPRequestHandler):
    """What containerd asks for in a pull."""

    manifest, blobs = image()
    # containerd tries TLS first, and goes on without it only where the refusal begins with a status line.
    default_request_version = "HTTP/1.0"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        name = self.path.rpartition("/")[2]
        if "/manifests/" in self.path:
            self._send(MANIFEST, self.manifest)
        elif name in self.blobs:
            if self.blobs[name][:1] != b"{" and self.command == "GET":
                _wait_for_release()
            self._send("application/octet-stream", self.blobs[name])
        else:
            self._send("application/json", b"{}")

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", digest_of(body))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *values: object) -> None:
        pass


def _wait_for_release() -> None:
    print("pulled", flush=True)
    while True:
        try:
            open(RELEASED).close()
            return
        except FileNotFoundError:
            time.sleep(0.05)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print("listening", flush=True)
    server.serve_forever()
