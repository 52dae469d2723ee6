"""Makes templates, executions and stops for the tests of the wire."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from desist.api.base import Opaque
from desist.api.execution import WorkflowExecution
from desist.api.vocabulary import Mode
from desist.api.workflow import StopPolicy, WorkflowSpec
from desist.lifecycle.observed.questions import WantedPod
from desist.lifecycle.pod.manifest import pod_manifest, pod_name
from desist.lifecycle.settings import LauncherDelivery, Settings
from desist.lifecycle.wire.mailbox import Stop

RUN_ID = "01K0ZJ5S9N8D4C3B2A1QRSTVWX"
NOW = datetime(2030, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)

SIDECAR = {"name": "proxy", "image": "busybox", "restartPolicy": "Always"}


def template(**spec: Any) -> dict[str, Any]:
    """A template that nothing is wrong with; `spec` is merged into its pod spec."""
    container = {"name": "workflow", "image": "busybox", "command": ["sleep", "60"]}
    return {"spec": {"containers": [container], **copy.deepcopy(spec)}}


def with_container(**fields: Any) -> dict[str, Any]:
    """The same; `fields` are merged into its workflow container."""
    made = template()
    made["spec"]["containers"][0].update(copy.deepcopy(fields))
    return made


def with_sidecar(**fields: Any) -> dict[str, Any]:
    """The same, with a native sidecar that `fields` are merged into."""
    return template(initContainers=[{**SIDECAR, **fields}])


def execution(name: str = "order-123", namespace: str = "shop") -> WorkflowExecution:
    metadata = {"name": name, "namespace": namespace, "uid": "8a4b0b8e-5d0c-4a53-a2b1-0f6a1d4e9c11"}
    return WorkflowExecution.model_validate({"metadata": metadata, "spec": {"workflowRef": {"name": "fulfil"}}})


def pod(
    given: dict[str, Any] | None = None,
    delivery: LauncherDelivery = LauncherDelivery.INIT_CONTAINER,
    arguments: Any = None,
    name: str = "order-123",
    **stop_policy: Any,
) -> dict[str, Any]:
    """The pod of attempt 1 that is made of a template (`template()` where none is given)."""
    spec = WorkflowSpec(template=Opaque.of(given or template()), stop_policy=StopPolicy(**stop_policy))
    settings = Settings(launcher_image="registry.example/launcher:1", launcher_delivery=delivery)
    wrapped = None if arguments is None else Opaque.of(arguments)
    made_for = execution(name)
    wanted = WantedPod(pod_name(name, made_for.metadata.uid, RUN_ID, 1), RUN_ID, 1)
    made: dict[str, Any] = pod_manifest(made_for, spec, wrapped, wanted, settings).value
    return made


def stop(mode: Mode = Mode.CANCEL, grace: float | None = None, after: float = 0.0, **fields: Any) -> Stop:
    """A stop that is posted `after` seconds past NOW."""
    values: dict[str, Any] = {
        "sequence": 1,
        "run_id": RUN_ID,
        "command_id": f"command-{mode}",
        "signal": "SIGTERM",
        "reason": None,
        "details": None,
    }
    posted_at = NOW + timedelta(seconds=after)
    return Stop(mode=mode, grace_seconds=grace, posted_at=posted_at, **{**values, **fields})
