"""Datasette's core events are described by our table, because their classes declare nothing."""

from __future__ import annotations

from heliograph import Privacy
from heliograph.schema.compile.datasette_events import ATTRIBUTES, BRIEFS
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.read.event import EventReader
from heliograph.values.privacy import PrivacyPolicy


def test_datasettes_events_have_their_namespace_and_names_of_the_conventions() -> None:
    """Our table declares for Datasette's core events what their classes do not."""
    from datasette.events import DropTableEvent

    schema = compile_schema(DropTableEvent, namespace="app")

    assert schema.event_name == "datasette.drop_table"
    event = DropTableEvent(actor=None, database="content", table="docs")
    assert EventReader(schema).attributes(event) == {"db.namespace": "content", "db.collection.name": "docs"}


def test_every_event_of_datasettes_core_has_a_schema() -> None:
    """All eleven compile, each with its own name."""
    from datasette import events

    classes = events.register_events()
    names = {compile_schema(cls, namespace="app").event_name for cls in classes}

    assert names == {f"datasette.{cls.name.replace('-', '_')}" for cls in classes}
    assert len(names) == 11


def test_every_field_of_datasettes_events_is_declared() -> None:
    """Each of the eleven events has a brief, and each field a brief and examples. Private fields are opt-in."""
    from datasette.events import register_events

    schemas = [compile_schema(cls, namespace="app") for cls in register_events()]

    assert len(schemas) == 11
    assert all(schema.brief.endswith(".") for schema in schemas)
    for attribute in (attribute for schema in schemas for attribute in schema.wire_attributes()):
        assert attribute.field.declared.brief, attribute
        assert attribute.field.declared.examples, attribute
        is_opt_in = attribute.field.name in {"schema", "before_schema", "after_schema"}
        assert attribute.field.requirement == ("opt_in" if is_opt_in else attribute.field.requirement)
        assert (attribute.field.declared.privacy is Privacy.PLAIN) is not is_opt_in


def test_default_drop_exports_the_declared_fields_of_datasettes_events() -> None:
    """Databases and tables are declared plain; schemas are opt-in."""
    from datasette.events import CreateTableEvent

    schema = compile_schema(CreateTableEvent, namespace="app", policy=PrivacyPolicy(default=Privacy.DROP))
    event = CreateTableEvent(actor=None, database="d", table="t", schema="create table t")

    assert EventReader(schema).attributes(event) == {"db.namespace": "d", "db.collection.name": "t"}


def test_table_describes_nothing_that_datasette_does_not_have() -> None:
    """An event or a field that Datasette renames would silently lose its declaration."""
    from datasette.events import register_events

    classes = {cls.name: cls for cls in register_events()}
    assert BRIEFS.keys() == classes.keys()
    for name, fields in ATTRIBUTES.items():
        assert fields.keys() <= classes[name].__dataclass_fields__.keys()
