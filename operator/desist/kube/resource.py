"""Where things are in the Kubernetes API: paths and queries, as values.

Contract: pure. A `Resource` names a kind as its URL does, an `Address` one object, a `Query` what a list or a watch is
restricted to, a `Source` both at once. Names and namespaces are quoted, so that no caller can leave its collection.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object, as its URL names it."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    namespaced: bool = True

    def collection(self, namespace: str = "") -> str:
        """Path of all its objects in a namespace; with an empty one, in all."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{quote(namespace, safe='')}" if namespace and self.namespaced else ""
        return f"{root}{inside}/{self.plural}"

    def at(self, name: str, namespace: str = "") -> Address:
        """One object. Raises ValueError where the name, or the namespace of a namespaced kind, is missing."""
        if not name or (self.namespaced and not namespace):
            raise ValueError(f"one of {self} needs a name{' and a namespace' if self.namespaced else ''}")
        return Address(self, name, namespace)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True)
class Address:
    """One object; made by `Resource.at`."""

    resource: Resource
    name: str
    namespace: str = ""

    def path(self, subresource: str = "") -> str:
        """Path of the object or of its subresource, as `status`."""
        path = f"{self.resource.collection(self.namespace)}/{quote(self.name, safe='')}"
        return f"{path}/{subresource}" if subresource else path


@dataclass(frozen=True, slots=True)
class Query:
    """What a list or a watch is restricted to."""

    namespace: str = ""
    labels: str = ""
    """A label selector, as `app=web,tier!=test`."""
    fields: str = ""
    """A field selector, as `spec.nodeName=worker`."""
    limit: int = 0
    """Objects a page; 0: all in one."""
    continue_token: str = ""
    resource_version: str = ""
    metadata_only: bool = False
    """Whether objects come as PartialObjectMetadata."""

    def parameters(self) -> dict[str, str]:
        """As the query string has them."""
        named = {
            "labelSelector": self.labels,
            "fieldSelector": self.fields,
            "limit": str(self.limit) if self.limit else "",
            "continue": self.continue_token,
            "resourceVersion": self.resource_version,
        }
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class Source:
    """A collection, and what of it."""

    resource: Resource
    query: Query = Query()

    def __str__(self) -> str:
        return f"{self.resource} ({self.query.labels})" if self.query.labels else str(self.resource)


PODS = Resource("", "v1", "pods")
NODES = Resource("", "v1", "nodes", namespaced=False)
EVENTS = Resource("events.k8s.io", "v1", "events")
SECRETS = Resource("", "v1", "secrets")
