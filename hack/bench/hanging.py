"""An admission webhook that hangs, for one namespace: what a broken policy engine does to everybody's starts.

Contract: a context manager. It listens where the API server can reach it and never says a word, so that each create of
a pod in that namespace takes the webhook's whole timeout, ten seconds by default, and is then refused. The address is
this machine's own, as seen from the API server.
"""

from __future__ import annotations

import socket
import time
from types import TracebackType
from typing import Any

from kubernetes import client

TIMEOUT = 10
"""Seconds; Kubernetes' own default."""


class HangingWebhook:
    """Hangs every create of a pod in `namespace`, whose label `kubernetes.io/metadata.name` Kubernetes sets."""

    def __init__(self, api: Any, namespace: str, failure_policy: str = "Fail") -> None:
        self._api = api
        self._registration: Any = client.AdmissionregistrationV1Api(api)
        self._namespace = namespace
        self._policy = failure_policy
        self._name = f"hangs-{namespace}"
        self._socket = socket.socket()

    def __enter__(self) -> HangingWebhook:
        address = self._own_address()
        self._socket.bind((address, 0))
        # Connections are made by the kernel; nobody ever accepts one.
        self._socket.listen(1024)
        url = f"https://{address}:{self._socket.getsockname()[1]}/"
        self._registration.create_validating_webhook_configuration(self._configuration(url))
        try:
            self._wait_until_it_hangs()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._registration.delete_validating_webhook_configuration(self._name)
        self._socket.close()

    def _own_address(self) -> str:
        """Of this machine, on the way to the API server's node."""
        endpoints: Any = client.DiscoveryV1Api(self._api)
        slices = endpoints.list_namespaced_endpoint_slice(
            "default", label_selector="kubernetes.io/service-name=kubernetes"
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((slices.items[0].endpoints[0].addresses[0], 9))
            return str(probe.getsockname()[0])

    def _configuration(self, url: str) -> dict[str, Any]:
        webhook = {
            "name": "hangs.example.test",
            "clientConfig": {"url": url},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self._namespace}},
            "failurePolicy": self._policy,
            "timeoutSeconds": TIMEOUT,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        return {"metadata": {"name": self._name}, "webhooks": [webhook]}

    def _wait_until_it_hangs(self) -> None:
        """The API server learns of webhooks by a watch; until then pods are let in."""
        core: Any = client.CoreV1Api(self._api)
        pod = {"metadata": {"name": "hangs"}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
        for _ in range(30):
            began = time.monotonic()
            try:
                core.create_namespaced_pod(self._namespace, pod, dry_run="All", _request_timeout=2)
            except client.ApiException as error:
                raise RuntimeError(f"the webhook is refused, it does not hang: {error.body}") from error
            except Exception:
                if time.monotonic() - began > 1.5:
                    return
                raise
            time.sleep(0.2)
        raise TimeoutError("the API server does not call the webhook")
