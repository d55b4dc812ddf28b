"""Unique ids are UUIDv7, unique among threads, and sort by time."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from heliograph.telemetry.uid import UidGenerator

NOON = 1_700_000_000_000_000_000


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_uid_is_a_uuid_of_version_7_with_its_time(moment: int) -> None:
    """The first 48 bits are the milliseconds; version and variant are those of RFC 9562."""
    uid = UidGenerator()(moment)
    parsed = uuid.UUID(uid)

    assert uid == str(parsed)
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert parsed.int >> 80 == moment // 1_000_000


def test_uids_sort_by_time_and_within_one_millisecond_by_order() -> None:
    """Text order is time order, also past the bound of one counter word."""
    new_uid = UidGenerator()
    uids = [new_uid(NOON) for _ in range(40_000)] + [new_uid(NOON + 1_000_000), new_uid(NOON + 65_536_000_000)]

    assert uids == sorted(uids)
    assert len(set(uids)) == len(uids)


def test_uid_of_an_earlier_time_sorts_earlier() -> None:
    """An event that is told late has its place in time."""
    new_uid = UidGenerator()
    late = new_uid(NOON)

    assert new_uid(NOON - 1_000_000) < late < new_uid(NOON + 1_000_000)


def test_uids_are_unique_among_threads() -> None:
    """No two threads get the same, for one and the same time."""
    new_uid = UidGenerator()

    with ThreadPoolExecutor(4) as threads:
        uids = [uid for part in threads.map(lambda _: [new_uid(NOON) for _ in range(20_000)], range(4)) for uid in part]

    assert len(set(uids)) == 80_000


def test_two_generators_give_different_uids() -> None:
    """Two processes, or two hosts, do not meet."""
    assert UidGenerator()(NOON) != UidGenerator()(NOON)
