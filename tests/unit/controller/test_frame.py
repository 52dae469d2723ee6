"""kopf is set to write nothing, to keep nothing, and never to give up."""

from __future__ import annotations

import itertools

import kopf

from desist.controller.frame import EndlessBackoff, NoDiffBase, NoProgress, configure


def test_kopf_writes_nothing_by_itself() -> None:
    settings = kopf.OperatorSettings()
    configure(settings)
    assert not settings.posting.enabled
    assert settings.persistence.finalizer.startswith("desist.dev/")
    assert settings.peering.standalone
    assert settings.scanning.disabled
    assert settings.watching.inactivity_timeout == 30


def test_the_storages_leave_a_patch_empty() -> None:
    body, patch = kopf.Body({"metadata": {"name": "x"}, "spec": {"a": 1}}), kopf.Patch()
    base, progress = NoDiffBase(), NoProgress()
    base.store(body=body, patch=patch, essence=base.build(body=body))
    progress.store(key="handler", record={}, body=body, patch=patch)
    progress.touch(body=body, patch=patch, value="now")
    progress.purge(key="handler", body=body, patch=patch)
    assert not patch
    assert base.fetch(body=body) is None
    assert progress.fetch(key="handler", body=body) is None


def test_the_back_off_never_ends_and_can_be_begun_again() -> None:
    backoff = EndlessBackoff()
    first = list(itertools.islice(backoff, 1000))
    assert first[:3] == [0.1, 0.2, 0.4]
    assert first[-1] == 5.0
    assert list(itertools.islice(backoff, 3)) == [0.1, 0.2, 0.4]
