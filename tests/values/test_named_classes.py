"""Values of other packages have documented forms, by the packages' own methods, and nothing is imported for it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import subprocess
import sys
import types
from typing import Any, NamedTuple

import httpx
import numpy as np
import pandas as pd
import pydantic
import pydantic_core
import pytest
import starlette.datastructures
import urllib3.util
import yarl
from hypothesis import given
from hypothesis import strategies as st

from heliograph.values.forms import form_of, protected_form_of
from heliograph.values.named_classes import MAX_ITEMS, without_credentials
from heliograph.values.privacy import PrivacyPolicy
from threads import LIMIT_SECONDS

UTC = dt.timezone.utc


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (np.int64(7), 7),
        (np.uint64(2**64 - 1), str(2**64 - 1)),
        (np.float64(1.5), 1.5),
        (np.float32(0.5), 0.5),
        (np.float64("nan"), "NaN"),
        (np.longdouble(1.5), 1.5),
        (np.clongdouble(1.5), "1.5+0j"),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.bytes_(b"a"), "YQ=="),
        (np.complex128(1 + 2j), "1+2j"),
        (np.datetime64("2026-01-02T03:04:05"), "2026-01-02T03:04:05"),
        (np.datetime64("NaT"), None),
        (np.timedelta64("NaT"), None),
        (np.timedelta64(1, "D"), "P1D"),
        (np.timedelta64(-1, "ns"), "-PT0.000000001S"),
        (np.timedelta64(3, "M"), "3 M"),
        (np.array([1, 2]), [1, 2]),
        (np.array([[1.5], [2.5]]), [[1.5], [2.5]]),
        (np.array(5), 5),
        (np.array(["2026-01-02", "NaT"], dtype="datetime64[ns]"), ["2026-01-02T00:00:00.000000000", None]),
        (np.array([{"a": 1}, None], dtype=object), [{"a": 1}, None]),
        (np.arange(64), list(range(64))),
        (np.arange(65), "<numpy.ndarray (65,) int64>"),
        (np.zeros((10**4, 10**4), dtype=bool), "<numpy.ndarray (10000, 10000) bool>"),
        (np.ma.masked_array([1, 2], mask=[True, False]), "<numpy.ma.MaskedArray (2,) int64>"),
        (pd.Series([1, 2]), [1, 2]),
        (pd.Series(["a", None], dtype=object), ["a", None]),
        (pd.Series(pd.to_datetime(["2026-01-02", None])), ["2026-01-02T00:00:00", None]),
        (pd.Series(range(65)), "<pandas.Series (65,) int64>"),
        (pd.Index(["a"]), ["a"]),
        (pd.Series(["a", "a"], dtype="category"), ["a", "a"]),
        (pd.DataFrame({"a": [1, 2], "b": [3, 4]}), "<pandas.DataFrame (2, 2)>"),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.Timestamp("2026-01-02", tz="UTC"), "2026-01-02T00:00:00Z"),
        (pd.Timestamp("2026-01-02T00:00:00.000000001", tz="UTC"), "2026-01-02T00:00:00.000000001Z"),
        (pd.Timestamp("2026-01-02T00:00:00.000000001"), "2026-01-02T00:00:00.000000001"),
        (pd.Timedelta(days=1, nanoseconds=1), "P1DT0.000000001S"),
        (pd.Timedelta(days=-1), "-P1D"),
        (pd.Period("2026-01", "M"), "2026-01"),
    ],
    ids=repr,
)
def test_values_of_numpy_and_pandas(value: object, form: object) -> None:
    """A value has its form alone, and inside of a list."""
    assert form_of(value) == form
    assert form_of([value]) == [form]


def dsn(text: str, kind: Any) -> Any:
    return pydantic.TypeAdapter(kind).validate_python(text)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (dsn("https://me:pw@h/p?a=b", pydantic.HttpUrl), "https://h/p?a=b"),
        (dsn("https://me@h/p", pydantic.AnyUrl), "https://h/p"),
        (dsn("postgres://me:pw@h:1/db?user=me&password=pw&a=b", pydantic.PostgresDsn), "postgres://h:1/db?a=b"),
        (dsn("postgres://me:pw@h:1,you:p2@k/db", pydantic.PostgresDsn), "postgres://h:1,k/db"),
        (dsn("postgres://me:p%2Cw@h/db", pydantic.PostgresDsn), "postgres://h/db"),
        (pydantic_core.Url("redis://:pw@h/0"), "redis://h/0"),
        (httpx.URL("https://me:pw@h/p#f"), "https://h/p#f"),
        (yarl.URL("https://me:pw@h/p?a=b"), "https://h/p?a=b"),
        (yarl.URL("//me:pw@h/p"), "//h/p"),
        (starlette.datastructures.URL("https://me:pw@h/p"), "https://h/p"),
        (urllib3.util.parse_url("https://me:pw@h:1/p"), "https://h:1/p"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_urls_lose_user_and_password(value: object, form: str) -> None:
    """Both may be in the authority, and in the query of a DSN."""
    assert form_of(value) == form


def test_url_that_is_a_named_tuple_loses_user_and_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLAlchemy's URL is a tuple, which would be an array with the password in it."""

    class URL(NamedTuple):
        drivername: str
        username: str
        password: str
        host: str
        port: int
        database: str
        query: dict[str, str]

    module = types.ModuleType("sqlalchemy.engine.url")
    module.URL = URL  # type: ignore[attr-defined]
    url = URL("postgresql", "me", "secret", "h", 5432, "db", {"password": "secret"})
    monkeypatch.setitem(sys.modules, module.__name__, module)

    URL.__qualname__ = "URL"
    assert form_of(url) == "postgresql://h:5432/db"


@given(st.text(st.characters(codec="ascii", exclude_characters="@/?#"), min_size=1, max_size=20))
def test_no_part_of_a_password_is_exported(password: str) -> None:
    """A password may have all characters that a URL may have there."""
    assert without_credentials(f"postgres://me:{password}@host/db") == "postgres://host/db"
    assert without_credentials("a/b@c") == "a/b@c"
    assert without_credentials("mailto:a@b") == "mailto:a@b"


def test_secrets_of_pydantic_are_masked() -> None:
    """Secrets of pydantic are masked under every policy, and count as private."""

    class Key(pydantic.SecretStr):
        pass

    values = [pydantic.SecretStr("s"), pydantic.SecretBytes(b"s"), pydantic.Secret[int](5), Key("s")]

    assert form_of(values) == ["<masked>"] * 4
    assert protected_form_of(values, PrivacyPolicy()) == (["<masked>"] * 4, False)


def test_class_that_only_has_the_name_is_not_recognized() -> None:
    """A class is compared with the one that the module has."""

    class ndarray:
        shape = (1,)

    ndarray.__qualname__, ndarray.__module__ = "ndarray", "numpy"

    assert form_of(ndarray()) == "<numpy.ndarray>"


def test_subclass_has_the_form_of_its_base() -> None:
    """No method that the subclass overrides is called."""

    class Series(pd.Series):
        def tolist(self) -> list[Any]:
            raise AssertionError

    class Array(np.ndarray):
        def tolist(self) -> Any:
            raise AssertionError

    class Url(httpx.URL):
        def __str__(self) -> str:
            raise AssertionError

    class Stamp(pd.Timestamp):
        pass

    assert form_of(Series([1])) == [1]
    assert form_of(np.array([1]).view(Array)) == [1]
    assert form_of(Url("https://me@h/")) == "https://h/"
    assert MAX_ITEMS == 64


def test_nothing_is_imported() -> None:
    """Making forms does not import numpy into a program that does not use it."""
    program = """
import sys
from heliograph.values.forms import form_of
class Thing: pass
form_of([Thing(), 1.5, {"a": object()}])
print(sorted({"numpy", "pandas", "pydantic", "httpx", "yarl", "argparse"} & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=LIMIT_SECONDS
    )
    assert result.stdout.strip() == "[]"


class OwnAddress(ipaddress.IPv4Address):
    def __str__(self) -> str:
        raise AssertionError("code of the program")


class OwnNetwork(ipaddress.IPv6Network):
    def __str__(self) -> str:
        raise AssertionError("code of the program")


@given(
    st.ip_addresses()
    | st.builds(ipaddress.IPv6Network, st.tuples(st.ip_addresses(v=6), st.integers(0, 128)), st.just(False))
)
def test_text_of_addresses_and_networks(value: Any) -> None:
    """The text is that of the value's own method, also if it is remembered."""
    assert form_of(value) == form_of(value) == str(value)


def test_text_of_unusual_addresses_and_networks() -> None:
    """A subclass is not asked, a scope is kept, and a number that is none of an address changes nothing."""
    address = ipaddress.IPv4Address(1)
    address._ip = True  # type: ignore[attr-defined]

    assert form_of(address) == "0.0.0.1"
    assert form_of(OwnAddress("10.0.0.1")) == "10.0.0.1"
    assert form_of(OwnNetwork("2001:db8::/32")) == "2001:db8::/32"
    assert form_of(ipaddress.IPv6Network("fe80::%1/64")) == "fe80::%1/64"


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_numbers_of_numpy_of_every_size(bits: int) -> None:
    """Numbers of numpy become plain ones, also those of a subclass, whose own code does not run."""

    class Own(getattr(np, f"int{bits}")):  # type: ignore[misc]
        def __int__(self) -> int:
            raise AssertionError("code of the program")

    values = [getattr(np, f"{kind}{bits}")(3) for kind in ("int", "uint", *(["float"] if bits > 8 else []))]

    assert [(type(form), form) for form in map(form_of, [*values, Own(3)])] == [
        (int, 3), (int, 3), *([(float, 3.0)] if bits > 8 else []), (int, 3)
    ]  # fmt: skip
