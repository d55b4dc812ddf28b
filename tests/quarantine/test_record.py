"""An invalid event cannot be changed after it was created."""

from __future__ import annotations

import dataclasses

import pytest

from quarantine.test_store import RECORD


def test_record_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECORD.uid = "other"  # type: ignore[misc]


def test_records_are_compared_by_value() -> None:
    assert dataclasses.replace(RECORD) == RECORD
    assert dataclasses.replace(RECORD, uid="other") != RECORD
