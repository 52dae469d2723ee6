"""What a pod template may say: the table of what is refused, and why.

Contract: `refusals` never raises, whatever the template is made of; each message begins with the field, says what is
allowed and what to do instead. What is not in `RULES` is kept as it is, or the API server's to judge by a dry-run
create. A template without refusals has every shape that `manifest` relies on.
Rejected: a typed model of PodTemplateSpec (it would refuse fields of newer API servers) and JSON Schema (its messages
name patterns, not what to do).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from desist.api.workflow import StopPolicy
from desist.lifecycle.wire import fields

MESSAGE_BYTES = 4096
MESSAGE_BYTES_OF_POD = 12_288
"""What the kubelet keeps of the termination messages of one container, and of all of a pod."""
LONGEST_GRACE = 31_536_000
"""A year of seconds; the API server takes far more, of which no time can be told."""

DEFAULT_GRACE = 30
"""Kubernetes' default of terminationGracePeriodSeconds."""
_EVERY_CONTAINER = ("spec.containers[*]", "spec.initContainers[*]")
_IMAGE_HINT = "docker inspect -f '{{json .Config.Entrypoint}} {{json .Config.Cmd}}' IMAGE"


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table: a field (absent counts as None), which values of it are refused, and the message."""

    paths: tuple[str, ...]
    refused: Callable[[Any], bool]
    message: str


def _below(parents: tuple[str, ...], field: str) -> tuple[str, ...]:
    return tuple(f"{parent}.{field}" for parent in parents)


def _on(value: Any) -> bool:
    return value is not None and value is not False


def _given(value: Any) -> bool:
    return value is not None


def _not_an_object(value: Any) -> bool:
    return not isinstance(value, dict)


def _other_than_object(value: Any) -> bool:
    return value is not None and not isinstance(value, dict)


def _not_one_container(value: Any) -> bool:
    return not isinstance(value, list) or len(value) != 1


def _no_command(value: Any) -> bool:
    return not (isinstance(value, list) and value and all(isinstance(word, str) for word in value))


def _exactly(refused: str) -> Callable[[Any], bool]:
    return lambda value: bool(value == refused)


def _other_than(*allowed: Any) -> Callable[[Any], bool]:
    return lambda value: value is not None and value not in allowed


def _no_grace(value: Any) -> bool:
    number = isinstance(value, int) and not isinstance(value, bool)
    return value is not None and not (number and 1 <= value <= LONGEST_GRACE)


def _starts(prefix: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value.startswith(prefix)


def _selects_windows(value: Any) -> bool:
    return isinstance(value, dict) and value.get("kubernetes.io/os") == "windows"


def _parts(path: str) -> list[str]:
    """A path as the kernel reads it, `..` apart."""
    return [part for part in path.split("/") if part not in ("", ".")]


def _goes_up(value: Any) -> bool:
    return isinstance(value, str) and ".." in _parts(value)


def _meets_our_folder(value: Any) -> bool:
    """Whether it is at, below or above it; where it goes up, that is said first."""
    return isinstance(value, str) and value != "" and not _goes_up(value) and _parts(value)[:1] in ([], ["desist"])


def _hides_the_message(value: Any) -> bool:
    """Whether it would hide the termination message, from the launcher or from the kubelet."""
    if not isinstance(value, str) or _goes_up(value):
        return False
    return _parts(value) == ["dev"] or _parts(value)[:2] == ["dev", "termination-log"]


_WINDOWS = "Windows pods are not supported: the processes of a run are stopped by signals; use a Linux image"
_RESERVED = "names that begin with desist- belong to Desist; choose another name"
_FOLDER = "/desist and what is below it belong to Desist, and / is above them; mount it somewhere else"
_UP = "must not contain '..': mount it where it shall be"
_MESSAGE = (
    "/dev and /dev/termination-log must stay as they are, because outcome and receipt travel in the termination "
    "message; mount it somewhere else (/dev/shm is free)"
)
_MOUNTS = (
    *_below(_EVERY_CONTAINER, "volumeMounts[*].mountPath"),
    *_below(_EVERY_CONTAINER, "volumeDevices[*].devicePath"),
)
_AS_USUAL = StopPolicy()

RULES: tuple[Rule, ...] = (
    Rule(("spec",), _not_an_object, "must be a pod spec (an object)"),
    Rule(("metadata.labels", "metadata.annotations"), _other_than_object, "must be an object of strings"),
    Rule(
        ("spec.containers",),
        _not_one_container,
        "exactly one regular container is allowed, the workflow process; write helpers as native sidecars, that is "
        "as initContainers with restartPolicy Always",
    ),
    Rule(
        ("spec.containers[*].command",),
        _no_command,
        "a command (a list of strings, not empty) is required, because the launcher starts it; the image's own entry "
        f"point is shown by: {_IMAGE_HINT}",
    ),
    Rule(
        _below(_EVERY_CONTAINER, "lifecycle.postStart"),
        _given,
        "postStart hooks are not allowed, because no stop reaches the pod while one runs; do it at the beginning of "
        "the command, or in an init container",
    ),
    Rule(
        _below(_EVERY_CONTAINER, "lifecycle.preStop"),
        _given,
        "preStop hooks are not allowed; handle the stop signal in the process (stopPolicy.signal, SIGTERM by default)",
    ),
    Rule(
        ("spec.containers[*].lifecycle.stopSignal",),
        _other_than("SIGTERM"),
        "must be SIGTERM or absent, because the launcher takes a SIGTERM for the kubelet's; what the process gets is "
        "said by stopPolicy.signal",
    ),
    Rule(
        ("spec.hostPID", "spec.shareProcessNamespace"),
        _on,
        "must be false or absent: the end of a container proves the end of its processes only where it has a process "
        "namespace of its own",
    ),
    Rule(
        ("spec.containers[*].restartPolicy",),
        _given,
        "must be absent: Desist decides whether the workflow process runs again",
    ),
    Rule(
        ("spec.initContainers[*].restartPolicy",),
        _other_than("Always"),
        "must be Always (a native sidecar) or absent (an init container that runs once)",
    ),
    Rule(
        _below(_EVERY_CONTAINER, "restartPolicyRules"),
        _given,
        "must be absent: Desist decides whether a container runs again; act on the exit code in the command instead",
    ),
    Rule(
        ("spec.terminationGracePeriodSeconds",),
        _no_grace,
        f"must be a whole number of seconds from 1 to {LONGEST_GRACE:,} (a year), or absent (30); how long a stop may "
        "take is said by stopPolicy.gracePeriodSeconds",
    ),
    Rule(
        ("spec.activeDeadlineSeconds",),
        _given,
        "must be absent, because the kubelet would end the pod past Desist; use activeDeadlineSeconds of the Workflow "
        "or of the WorkflowExecution",
    ),
    Rule(
        _below(_EVERY_CONTAINER, "terminationMessagePolicy"),
        _other_than("File"),
        "must be File or absent: outcome and receipt travel in the termination message; report through $DESIST_OUTCOME",
    ),
    Rule(
        _below(_EVERY_CONTAINER, "terminationMessagePath"),
        _other_than("/dev/termination-log"),
        "must be /dev/termination-log or absent: outcome and receipt travel in the termination message; report "
        "through $DESIST_OUTCOME",
    ),
    Rule(("spec.os.name",), _exactly("windows"), _WINDOWS),
    Rule(("spec.nodeSelector",), _selects_windows, _WINDOWS),
    Rule(_below(("spec", *_EVERY_CONTAINER), "securityContext.windowsOptions"), _given, _WINDOWS),
    Rule(("spec.volumes[*].name", *_below(_EVERY_CONTAINER, "name")), _starts("desist-"), _RESERVED),
    Rule(_below(_EVERY_CONTAINER, "volumeMounts[*].name"), _starts("desist-"), _RESERVED),
    Rule(_MOUNTS, _goes_up, _UP),
    Rule(_MOUNTS, _meets_our_folder, _FOLDER),
    Rule(_MOUNTS, _hides_the_message, _MESSAGE),
    Rule(
        _below(_EVERY_CONTAINER, "env[*].name"),
        _starts("DESIST_"),
        "variables that begin with DESIST_ are set by Desist; choose another name",
    ),
    Rule(("spec.containers[*].resources",), _other_than_object, "must be an object"),
)


def refusals(template: dict[str, Any], policy: StopPolicy = _AS_USUAL) -> tuple[str, ...]:
    """What of a PodTemplateSpec is refused, one message a field (`spec.hostPID: ...`); empty: nothing is.

    `policy` is the workflow's: how long sidecars may take depends on it.
    """
    if fields.too_deep(template):
        return (f"template: objects and lists may be nested at most {fields.NESTING} levels deep",)
    messages = (message for rule in RULES for path in rule.paths for message in _judge(rule, template, path, ""))
    return tuple(dict.fromkeys((*messages, *_sidecars_take_too_long(template, policy))))


def termination_bytes(container_count: int) -> int:
    """How many bytes of a termination message the kubelet keeps in a pod of so many containers (of all kinds)."""
    return min(MESSAGE_BYTES, MESSAGE_BYTES_OF_POD // max(container_count, 1))


def _sidecars_take_too_long(template: dict[str, Any], policy: StopPolicy) -> Iterator[str]:
    """Sidecars get the pod's own grace when the process has ended, and nothing can shorten it."""
    spec, most = template.get("spec"), policy.max_grace_period_seconds
    given = spec.get("terminationGracePeriodSeconds") if isinstance(spec, dict) else None
    grace = DEFAULT_GRACE if given is None else given
    if not isinstance(spec, dict) or _no_grace(given) or grace <= most or not _has_sidecars(spec):
        return
    yield (
        f"spec.terminationGracePeriodSeconds: with sidecars at most stopPolicy.maxGracePeriodSeconds ({most}), and "
        f"absent it is {DEFAULT_GRACE}: sidecars get it when the process has ended, and nothing can shorten that"
    )


def _has_sidecars(spec: dict[str, Any]) -> bool:
    before = spec.get("initContainers")
    found = before if isinstance(before, list) else ()
    return any(isinstance(each, dict) and each.get("restartPolicy") == "Always" for each in found)


def _judge(rule: Rule, parent: Any, path: str, at: str) -> Iterator[str]:
    """Walk down `path` from `parent`, which is the value at `at`; absent parents are skipped, wrong types are said."""
    if not path:
        if rule.refused(parent):
            yield f"{at}: {rule.message}"
        return
    if not isinstance(parent, dict):
        if parent is not None:
            yield f"{at or 'template'}: must be an object"
        return
    name, every, rest = _split(path)
    value, here = parent.get(name), f"{at}.{name}".lstrip(".")
    if not every:
        yield from _judge(rule, value, rest, here)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _judge_item(rule, item, rest, f"{here}[{index}]")
    elif value is not None:
        yield f"{here}: must be a list"


def _judge_item(rule: Rule, item: Any, path: str, at: str) -> Iterator[str]:
    if isinstance(item, dict):
        yield from _judge(rule, item, path, at)
    else:
        yield f"{at}: must be an object"


def _split(path: str) -> tuple[str, bool, str]:
    """The first segment of a path, whether it stands for each item of a list, and the rest."""
    head, _, rest = path.partition(".")
    return head.removesuffix("[*]"), head.endswith("[*]"), rest
