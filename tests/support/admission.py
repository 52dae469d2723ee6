"""Admission that refuses: policies and webhooks of one namespace, in force inside a `with`.

Contract: `refusing` waits until the policy bites, which nothing but a request shows; what was made is taken away at the
end. A webhook that fails points at a port of the API server's own machine that nobody listens at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kubernetes import client

from tests.support.lab import Lab

ADMISSION = ("admissionregistration.k8s.io", "v1")
SECONDS = 60
"""Until what was made is in force."""
NOBODY = "https://127.0.0.1:9/"


@contextmanager
def refusing(lab: Lab, operations: tuple[str, ...], message: str) -> Iterator[None]:
    """A policy that refuses these operations on pods in the namespace."""
    name = f"desist-test-{lab.name}"
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": lab.name}},
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": list(operations), "resources": ["pods"]}
            ],
        },
        "validations": [{"expression": "false", "message": message}],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    policies, bindings = "validatingadmissionpolicies", "validatingadmissionpolicybindings"
    lab.custom.create_cluster_custom_object(*ADMISSION, policies, _named("ValidatingAdmissionPolicy", name, spec))
    try:
        bound = _named("ValidatingAdmissionPolicyBinding", name, binding)
        lab.custom.create_cluster_custom_object(*ADMISSION, bindings, bound)
        try:
            _wait_until(lambda: _refused(lab))
            yield
        finally:
            lab.custom.delete_cluster_custom_object(*ADMISSION, bindings, name)
    finally:
        lab.custom.delete_cluster_custom_object(*ADMISSION, policies, name)


@contextmanager
def broken_webhook(lab: Lab, operations: tuple[str, ...]) -> Iterator[None]:
    """A webhook that cannot be called, and without whose answer nothing of this is allowed."""
    name = f"desist-test-{lab.name}"
    hook = {
        "name": "broken.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "timeoutSeconds": 5,
        "clientConfig": {"url": NOBODY},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": lab.name}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": list(operations), "resources": ["pods"]}],
    }
    api: Any = client.AdmissionregistrationV1Api(lab.api)
    api.create_validating_webhook_configuration({"metadata": {"name": name}, "webhooks": [hook]})
    try:
        _wait_until(lambda: _refused(lab))
        yield
    finally:
        api.delete_validating_webhook_configuration(name)


def _named(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "/".join(ADMISSION), "kind": kind, "metadata": {"name": name}, "spec": spec}


def _refused(lab: Lab) -> bool:
    """Whether a change of any pod of the namespace is refused; there must be one."""
    pod = lab.core.list_namespaced_pod(lab.name).items[0].metadata.name
    try:
        lab.core.patch_namespaced_pod(pod, lab.name, {"metadata": {"labels": {"probe": "x"}}}, dry_run="All")
    except client.ApiException as error:
        return error.status in (403, 422, 500)
    return False


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"it is not in force after {SECONDS} s"
        time.sleep(0.2)  # there is nothing to watch
