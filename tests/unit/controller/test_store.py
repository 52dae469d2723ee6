"""A store keeps the newest of what it is told, and learns from lists what its watch never said."""

from __future__ import annotations

from desist.controller.records import WorkflowRecord, workflow_record
from desist.controller.store import Difference, Listed, Store


def record(uid: str, version: int, name: str = "order") -> WorkflowRecord:
    metadata = {"name": name, "namespace": "shop", "uid": uid, "resourceVersion": str(version)}
    return workflow_record({"metadata": metadata, "spec": {"template": {"spec": {}}}})


def store_of(*records: WorkflowRecord) -> Store[WorkflowRecord]:
    store: Store[WorkflowRecord] = Store()
    for each in records:
        assert store.note(each)
    return store


def test_a_newer_record_replaces_an_older_one_and_never_the_other_way_round() -> None:
    store = store_of(record("u", 9))
    assert not store.note(record("u", 8))
    assert not store.note(record("u", 9))
    assert store.note(record("u", 10))
    assert store.get("u") == record("u", 10)


def test_versions_are_compared_as_numbers() -> None:
    store = store_of(record("u", 9))
    assert store.note(record("u", 10))


def test_a_name_leads_to_the_object_that_bears_it_now() -> None:
    store = store_of(record("old", 5))
    assert store.note(record("new", 8))
    assert store.note(record("old", 6))
    assert store.named("shop", "order") == record("new", 8)


def test_forgetting_an_old_object_leaves_the_name_to_the_new_one() -> None:
    store = store_of(record("old", 5), record("new", 8))
    assert store.forget("old") == record("old", 5)
    assert store.forget("old") is None
    assert store.named("shop", "order") == record("new", 8)
    store.forget("new")
    assert store.named("shop", "order") is None
    assert len(store) == 0


def test_a_list_tells_what_is_gone_what_is_newer_and_what_was_never_seen() -> None:
    store = store_of(record("gone", 5, "a"), record("old", 6, "b"), record("same", 7, "c"))
    listed = {"old": Listed("shop", "b", 9), "same": Listed("shop", "c", 7), "unseen": Listed("shop", "d", 8)}
    assert store.compare(listed, 10) == Difference(frozenset({"gone"}), frozenset({("shop", "b"), ("shop", "d")}))


def test_what_was_noted_after_the_list_was_made_is_not_missing() -> None:
    store = store_of(record("young", 11))
    assert store.compare({}, 10) == Difference()
    assert store.compare({}, 11).gone == {"young"}


def test_an_object_that_cannot_be_read_is_not_behind_until_it_changes() -> None:
    store = store_of()
    store.skip("odd", "7")
    assert store.compare({"odd": Listed("shop", "odd", 7)}, 10) == Difference()
    assert store.compare({"odd": Listed("shop", "odd", 11)}, 12).behind == {("shop", "odd")}
    assert store.compare({}, 13) == Difference()
