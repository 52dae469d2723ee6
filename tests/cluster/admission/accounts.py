"""Accounts that ask the API server for something, and what it answers.

Contract: `Account.ask` never raises for what the API server refuses: an `Answer` holds the status, the words and the
object. An account is taken on by impersonation, as `kubectl --as` does, or by a token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from kubernetes import client, config

from hack.cluster.api import kubeconfig
from hack.image.release import HOST_OPERATOR, RESTORER
from tests.cluster.chart.conftest import ACCOUNT
from tests.support.lab import Execution, Lab

MASTERS = "system:masters"
MALLORY = "mallory@example.com"
"""Of the group that may do everything, and yet no operator."""
PATCHES = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
API = "/apis/desist.dev/v1alpha1/namespaces"
DRY = {"dryRun": "All"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: Any

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


class Account:
    """One identity: the cluster's admin by his certificate, or whoever a token belongs to, taken for another or not."""

    def __init__(self, headers: Mapping[str, str], token: str = "") -> None:
        api: Any = config.new_client_from_config(str(kubeconfig()))
        held = api.configuration
        if token:
            held.cert_file = held.key_file = None
        asked: Any = client.ApiClient(held)
        self._pool = asked.rest_client.pool_manager
        self._host = held.host
        self._headers = {**headers, "Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, body: Any = None, how: str = "", **query: str) -> Answer:
        """A request; `how` is one of PATCHES."""
        if how == "apply":
            query = {"fieldManager": "somebody", "force": "true", **query}
        url = f"{self._host}{path}?{urlencode(query)}"
        headers = self._headers | {"Content-Type": PATCHES.get(how, "application/json")}
        # JSON is YAML too, so that an apply takes it.
        said = self._pool.request(method, url, body=None if body is None else json.dumps(body), headers=headers)
        return Answer(int(said.status), json.loads(said.data))


def acting_as(user: str, *, group: str = MASTERS) -> Account:
    """The user, taken on by the cluster's admin."""
    return Account({"Impersonate-User": user, "Impersonate-Group": group})


def identity(held: Mapping[str, Any]) -> dict[str, Any]:
    """What an apply has to say of an object beside its name."""
    return {"apiVersion": held["apiVersion"], "kind": held["kind"]}


def delete_execution(execution: Execution, propagation: str) -> None:
    """kubectl delete wfx --cascade=..."""
    body = client.V1DeleteOptions(propagation_policy=propagation)
    execution.lab.custom.delete_namespaced_custom_object(
        "desist.dev", "v1alpha1", execution.lab.name, "workflowexecutions", execution.name, body=body
    )


NAMES = {
    "label": "the label desist.dev/",
    "annotation": "the annotation desist.dev/",
    "owner": "an owner of the group desist.dev",
}


def refused(answer: Answer, what: str, user: str = MALLORY) -> bool:
    """Whether it was refused by the policy, with words that say what, who may, who asked and what to do."""
    words = (NAMES[what], f"only by {ACCOUNT}", HOST_OPERATOR, f"{user} may not", "admission.operators")
    assert answer.status == 403, answer
    assert all(word in answer.message for word in words), answer.message
    return True


def pods_path(lab: Lab, name: str = "") -> str:
    return f"/api/v1/namespaces/{lab.name}/pods" + (f"/{name}" if name else "")


def path_to(lab: Lab, kind: str, name: str = "", subresource: str = "") -> str:
    return "/".join(filter(None, (API, lab.name, kind, name, subresource)))


def status_refused(answer: Answer) -> bool:
    """Whether it was refused by the policy, with words that say what, who may, who asked and what to do."""
    words = ("status is written only by", ACCOUNT, HOST_OPERATOR, RESTORER, f"{MALLORY} may not", "spec.cancellation")
    assert answer.status == 403, answer
    assert all(word in answer.message for word in (*words, "admission.statusWriters")), answer.message
    return True
