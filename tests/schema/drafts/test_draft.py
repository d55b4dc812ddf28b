"""The names of drafted classes and fields."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.schema.drafts.draft import class_name, field_name, severity_of

texts = st.text(st.characters(categories=None), max_size=40)


@given(texts, st.sets(st.sampled_from(["Order", "order", "Order_2"])))
def test_names_are_valid_and_not_taken(text: str, taken: set[str]) -> None:
    """Drafted names are identifiers and no keywords, and a class with them compiles."""
    cls, field = class_name(text, taken), field_name(text, taken)

    for name in (cls, field):
        assert name.isidentifier()
        assert name.isascii()
        assert name not in taken
    source = f"import dataclasses, heliograph\n@dataclasses.dataclass\nclass {cls}(heliograph.Event):\n    {field}: int = 0\n"
    compile(source, "", "exec")


def test_taken_name_gets_the_first_free_number() -> None:
    """Each class and each field of a module has a name of its own."""
    assert class_name("order", {"Order", "Order_2"}) == "Order_3"
    assert field_name("order", {"order"}) == "order_2"


@pytest.mark.parametrize(
    ("text", "cls", "field"),
    [
        ("order_placed", "OrderPlaced", "order_placed"),
        ("user.first-name", "UserFirstName", "user_first_name"),
        ("class", "Class", "class_"),
        ("created", "Created", "created_"),
        ("list", "List", "list_"),
        ("event", "EventClass", "event"),
        ("2fa", "Event2fa", "field_2fa"),
        ("", "EventClass", "field"),
        ("exception", "ExceptionClass", "exception"),
    ],
)
def test_names_are_close_to_the_original(text: str, cls: str, field: str) -> None:
    """Names that Python or every event uses are changed."""
    assert (class_name(text), field_name(text)) == (cls, field)


@pytest.mark.parametrize(
    ("number", "severity"),
    [(1, 1), (14, 14), (24, 24), (0, 9), (25, 9), (-1, 9), (None, 9), (True, 9), ("14", 9), (14.0, 9), ([14], 9)],
)
def test_a_severity_that_opentelemetry_does_not_define_is_info(number: object, severity: int) -> None:
    """Each of OpenTelemetry's numbers is kept, also one between the names."""
    assert severity_of(number) == severity
