"""The part of Kubernetes' own object metadata that Desist reads, and conditions.

Contract: names and meanings are Kubernetes' own. `ObjectMeta` is a view for reading; it is never written back.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from desist.api.base import Model, Time
from desist.api.conditions import ConditionStatus, ConditionType

GROUP = "desist.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

EXECUTION_UID_LABEL = f"{GROUP}/execution-uid"
EXECUTION_LABEL = f"{GROUP}/execution"
RUN_ID_LABEL = f"{GROUP}/run-id"
ATTEMPT_LABEL = f"{GROUP}/attempt"
OPERATION_UID_LABEL = f"{GROUP}/operation-uid"
OPERATION_ATTEMPT_LABEL = f"{GROUP}/operation-attempt"
ROLE_LABEL = f"{GROUP}/role"
STOP_ANNOTATION = f"{GROUP}/stop"
ARGUMENTS_ANNOTATION = f"{GROUP}/arguments"
PUSH_KEY_ANNOTATION = f"{GROUP}/push-key"
PUSH_PORT_ANNOTATION = f"{GROUP}/push-port"


class ObjectMeta(Model):
    """Identity and age of an object."""

    name: str
    namespace: str = ""
    uid: str
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None


class Condition(Model):
    """One aspect of an object's state, as Kubernetes spells it."""

    type: ConditionType
    """The aspect."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: Annotated[str, Field(max_length=64)]
    """One word in CamelCase that programs may read."""
    message: Annotated[str, Field(max_length=4096)] = ""
    """The same for people."""
    last_transition_time: Time
    """When the status last changed."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation of the object that this speaks of."""
