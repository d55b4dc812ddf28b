"""The source of drafts: it runs, and no text in a draft becomes code."""

from __future__ import annotations

import ast

from hypothesis import example, given
from hypothesis import strategies as st

from drafted import schemas_of
from heliograph import Attribute, Deprecated, Privacy, Severity
from heliograph.events import EventOptions
from heliograph.schema.drafts.draft import ClassDraft, EnumDraft, EventDraft, FieldDraft
from heliograph.schema.drafts.python_source import literal, python_source

texts = st.text(st.characters(categories=None), max_size=40)
ATTACK = '''"""\nimport os; os.abort()\n"""\\'''


def test_the_source_looks_like_written_by_hand() -> None:
    """Every line of the drafted module is compared."""
    order = EventDraft(
        name="OrderPlaced",
        event_name="order-placed",
        brief="An order was placed.",
        note="By a customer.",
        options=EventOptions(
            namespace="shop", version="1", severity=Severity.WARN, stability="stable", message="{total}"
        ),
        fields=(
            FieldDraft(name="total", annotation="int", required=True, declared=Attribute("shop.total", unit="{cent}")),
            FieldDraft(name="customer", annotation="Customer", required=False),
            FieldDraft(name="color", annotation="Color", required=True),
            FieldDraft(
                name="note",
                annotation="str",
                required=False,
                declared=Attribute(
                    brief="The remark of the customer, which may be rather long, and is then broken into lines.",
                    examples=('a "quoted" text', "it's"),
                    privacy=Privacy.MASK,
                    deprecated=Deprecated(renamed_to="shop.remark", note="Since June."),
                ),
            ),
        ),
        needs=(
            EnumDraft(name="Color", members=(("RED", "red"), ("BLUE", "blue"))),
            ClassDraft(name="Customer", fields=(FieldDraft(name="id", annotation="int", required=True),)),
        ),
    )

    source = python_source([order], origin="a test")

    assert (
        source
        == '''"""Typed events, drafted from a test."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from heliograph import Attribute, Deprecated, Event, Privacy, Severity


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(kw_only=True)
class Customer:
    id: int


@dataclass(kw_only=True)
class OrderPlaced(Event, namespace="shop", version="1", severity=Severity.WARN, stability="stable", message="{total}"):
    """An order was placed.

    By a customer.
    """

    name = "order-placed"
    total: Annotated[int, Attribute("shop.total", unit="{cent}")]
    customer: Customer | None = None
    color: Color
    note: Annotated[
        str | None,
        Attribute(
            brief="The remark of the customer, which may be rather long, and is then broken into lines.",
            examples=['a "quoted" text', "it's"],
            privacy=Privacy.MASK,
            deprecated=Deprecated(renamed_to="shop.remark", note="Since June."),
        ),
    ] = None
'''
    )
    (schema,) = schemas_of(source)
    assert [field.name for field in schema.fields or ()] == ["total", "customer", "color", "note"]


@given(texts | st.just(ATTACK), texts | st.just(ATTACK), texts | st.just(ATTACK))
@example(brief="", note="", text="uuid")
def test_no_text_becomes_code(brief: str, note: str, text: str) -> None:
    """For any text, the module has the same statements."""
    draft = EventDraft(
        name="Order",
        event_name="order",
        brief=" ".join(brief.split()),
        note=note,
        options=EventOptions(namespace="shop", version=text, deprecated=Deprecated(note=text)),
        fields=(
            FieldDraft(
                name="text",
                annotation=f"Literal[{literal(text)}]",
                required=True,
                declared=Attribute(brief=text, note=text, examples=(text, [text]), unit=text),
            ),
        ),
        needs=(EnumDraft(name="Kind", members=(("A", text),)),),
    )

    tree = ast.parse(python_source([draft], origin="a test"))

    kinds = [type(node).__name__ for node in tree.body]
    assert kinds[0] == "Expr"
    assert set(kinds[1:-2]) <= {"Import", "ImportFrom"}  # a text such as "uuid" looks like a module that is used
    assert kinds[-2:] == ["ClassDef", "ClassDef"]
    enum, order = tree.body[-2:]
    assert isinstance(enum, ast.ClassDef)
    assert isinstance(order, ast.ClassDef)
    assert [type(node).__name__ for node in enum.body] == ["Assign"]
    assert [type(node).__name__ for node in order.body][-2:] == ["Assign", "AnnAssign"]
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert calls <= {"dataclass", "Attribute", "Deprecated"}
    strings = [node.value for node in ast.walk(order) if isinstance(node, ast.Constant)]
    assert not text or strings.count(text) >= 7


@given(texts)
def test_a_literal_is_read_back_as_the_value(text: str) -> None:
    """Python evaluates it to an equal value."""
    assert ast.literal_eval(literal(text)) == text
    assert ast.literal_eval(literal([text, 1, 1.5, True])) == [text, 1, 1.5, True]


def test_event_without_fields_and_with_a_quote_at_the_end() -> None:
    """The quote is no part of the quotes that close the docstring."""
    draft = EventDraft(
        name="Closed", event_name="closed", fields=(), brief='It is "closed"', options=EventOptions(namespace="shop")
    )

    source = python_source([draft], origin="a test")

    assert source.endswith('"""It is "closed\\""""\n\n    name = "closed"\n')
    (schema,) = schemas_of(source)
    assert (schema.event_name, schema.brief, schema.fields) == ("shop.closed", 'It is "closed"', ())


def test_event_without_a_namespace() -> None:
    """The drafted class names no namespace, so that it has the program's own."""
    source = python_source([EventDraft(name="Closed", event_name="closed", fields=())], origin="a test")

    assert "class Closed(Event):" in source
