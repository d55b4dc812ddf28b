"""Weaver registries, read from their files."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliograph.errors import FileFormatError
from heliograph.schema.drafts.weaver_registry import WeaverRegistry


def registry(directory: Path, text: str) -> WeaverRegistry:
    (directory / "events.yaml").write_text(text)
    return WeaverRegistry(directory)


def test_all_files_of_a_folder_are_one_registry(tmp_path: Path) -> None:
    """Files at any depth count, except manifests, hidden files and folders, and other kinds of files."""
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "attributes.yml").write_text("attributes: [{key: shop.total, type: int}]")
    (tmp_path / "deep" / "deeper" / "events.yaml").write_text(
        "events: [{name: shop.sale, attributes: [{ref: shop.total}]}]"
    )
    (tmp_path / "empty.yaml").write_text("")
    for ignored in ("manifest.yaml", "registry_manifest.yaml", ".hidden/a.yaml", ".a.yaml", "a.yamlx", "notes.txt"):
        (tmp_path / ignored).write_text("[not a registry")

    found = WeaverRegistry(tmp_path)

    (event,) = found.events()
    assert event.event_name == "shop.sale"
    assert [(name, entry.type) for name, entry in found.attributes_of(event)] == [("shop.total", "int")]


def test_a_reference_changes_the_definition(tmp_path: Path) -> None:
    """Values of the reference replace those of the definition. Annotations are merged."""
    found = registry(
        tmp_path,
        """
        attributes:
          - {key: shop.total, type: int, brief: Defined., note: Defined., annotations: {unit: EUR, privacy: {action: mask}}}
        events:
          - name: shop.sale
            attributes: [{ref: shop.total, brief: Changed., annotations: {unit: USD}}]
        """,
    )

    ((_, entry),) = found.attributes_of(found.events()[0])

    assert (entry.type, entry.brief, entry.note) == ("int", "Changed.", "Defined.")
    assert entry.annotations == {"unit": "USD", "privacy": {"action": "mask"}}


def test_attributes_of_groups_come_first_and_can_be_changed(tmp_path: Path) -> None:
    """A group may include another one; the event's own reference is the last change."""
    found = registry(
        tmp_path,
        """
        groups:
          - {id: base, type: attribute_group, attributes: [{id: shop.user, type: string, brief: Base.}]}
          - {id: more, type: attribute_group, extends: base, attributes: [{id: shop.mode, type: string}]}
          - id: event.shop.sale
            type: event
            extends: more
            attributes: [{ref: db.namespace}, {ref: shop.user, note: Changed.}]
        """,
    )

    (event,) = found.events()
    attributes = found.attributes_of(event)

    assert event.event_name == "shop.sale"
    assert [(name, entry.type) for name, entry in attributes] == [
        ("shop.user", "string"),
        ("shop.mode", "string"),
        ("db.namespace", "string"),
    ]
    assert (attributes[0][1].brief, attributes[0][1].note) == ("Base.", "Changed.")


def test_a_reference_changes_an_earlier_reference_of_a_group(tmp_path: Path) -> None:
    """The event's reference adds its own keys, and those that the group's has changed are kept."""
    found = registry(
        tmp_path,
        """
        attributes: [{key: shop.user, type: string, brief: Defined.}]
        attribute_groups: [{id: base, attributes: [{ref: shop.user, brief: Of the group.}]}]
        events: [{name: shop.sale, attributes: [{ref_group: base}, {ref: shop.user, note: Of the event.}]}]
        """,
    )

    ((_, entry),) = found.attributes_of(found.events()[0])

    assert (entry.brief, entry.note) == ("Of the group.", "Of the event.")


def test_one_group_may_be_included_twice(tmp_path: Path) -> None:
    """Only a group that includes itself is an error."""
    found = registry(
        tmp_path,
        """
        attributes: [{key: shop.user, type: string}]
        attribute_groups: [{id: base, attributes: [{ref: shop.user}]}]
        events: [{name: shop.sale, attributes: [{ref_group: base}, {ref_group: base}]}]
        """,
    )

    assert [name for name, _ in found.attributes_of(found.events()[0])] == ["shop.user"]


def test_a_group_that_includes_itself_is_an_error(tmp_path: Path) -> None:
    """The message names the event and the group."""
    groups = "[{id: a, attributes: [{ref_group: b}]}, {id: b, attributes: [{ref_group: a}]}]"
    found = registry(tmp_path, f"attribute_groups: {groups}\nevents: [{{name: a.b, attributes: [{{ref_group: a}}]}}]")

    with pytest.raises(FileFormatError, match=r"'a\.b' includes the group 'a', which includes itself"):
        found.attributes_of(found.events()[0])


def test_attributes_without_a_name_are_ignored(tmp_path: Path) -> None:
    """A definition without a name, and such an entry of an event, do not hide the others."""
    found = registry(
        tmp_path,
        """
        attributes: [{type: int}, {key: shop.user, type: string}]
        events: [{name: shop.sale, attributes: [{note: Nothing.}, {ref: shop.user}]}]
        """,
    )

    assert [name for name, _ in found.attributes_of(found.events()[0])] == ["shop.user"]


def test_an_event_without_a_name_has_an_empty_one(tmp_path: Path) -> None:
    """No class can have it, so the event is skipped and reported later."""
    [event] = registry(tmp_path, "events: [{brief: Nameless.}]").events()

    assert event.event_name == ""


def test_a_folder_without_registry_files_is_an_error(tmp_path: Path) -> None:
    """A manifest alone is no registry."""
    (tmp_path / "manifest.yaml").write_text("schema_url: https://example.com/1.0.0")

    with pytest.raises(FileFormatError, match="has no registry files"):
        WeaverRegistry(tmp_path)
