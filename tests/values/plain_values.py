"""Strategies for values of built-in classes."""

from __future__ import annotations

from hypothesis import strategies as st

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(categories=None), max_size=5)
    | st.dates()
    | st.uuids()
    | st.binary(max_size=3)
    | st.complex_numbers()
    | st.fractions()
)
KEYS = st.text(st.characters(categories=None), max_size=3) | st.sampled_from(["a", "b", "a.b", "taken"]) | st.integers()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=2).map(tuple) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=12,
)
