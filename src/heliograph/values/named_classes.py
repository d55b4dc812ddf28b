"""The converters of classes of other packages, and of modules of the standard library that few programs need.

No package is imported for them: a class is recognized if the module that is in `sys.modules` under its name has it. Each
function gets that class and a value, and calls only the class's own methods, on a value whose size it knows.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from heliograph.classes import qualname
from heliograph.values.privacy import MASKED, Protected
from heliograph.values.standard_library import (
    MAX_DECIMAL_BITS,
    MAX_VALUES,
    Converter,
    Pairs,
    duration_text,
    plain_datetime,
)
from heliograph.values.stored import instance_dict, stored_attribute

MAX_ITEMS: Final = 64
"""The number of items of an array or series that is exported. Of a longer one, the shape is exported."""

NamedConverter = Callable[[Any, Any], object]
"""A function that gets a class and a value of it or of a subclass, and turns the value into one of a simpler class."""


def named_converter(base: type) -> Converter | None:
    """Return the converter of a class of another package, or `None` if this module does not know it."""
    for module, function in _BY_NAME.get(qualname(base), ()):
        loaded = sys.modules.get(module)
        if loaded is not None and vars(loaded).get(qualname(base)) is base:
            return functools.partial(function, base)
    return None


def _none(_: Any, __: Any) -> None:
    return None


def _secret(_: Any, __: Any) -> Protected:
    return Protected(MASKED)


def _text(cls: Any, value: Any) -> str:
    text: str = cls.__str__(value)
    return text


def _attributes(_: Any, value: Any) -> object:
    return instance_dict(value)


# Standard library


def _fraction(cls: Any, value: Any) -> str:
    numerator, denominator = cls._numerator.__get__(value), cls._denominator.__get__(value)
    is_short = numerator.bit_length() <= MAX_DECIMAL_BITS and denominator.bit_length() <= MAX_DECIMAL_BITS
    number: Any = str if is_short else hex
    return number(numerator) if denominator == 1 else f"{number(numerator)}/{number(denominator)}"


def _ipv4_address(cls: Any, value: Any) -> str:
    """Return the text of an IPv4 address. To make it here is faster than the class's own method."""
    number = cls._ip.__get__(value)
    if type(number) is int and 0 <= number < _IPV4_ADDRESSES:
        return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return _address(cls, value)


_IPV4_ADDRESSES: Final = 2**32


def _ipv6_network(cls: Any, value: Any) -> str:
    """Return the text of an IPv6 network, from a cache: a program has few of them, and the class's own method takes some microseconds."""
    if type(value) is cls:
        number, scope, length = _PARTS_OF_NETWORK(value)
        if scope is None and type(number) is int and type(length) is int:
            return _text_of_ipv6_network(number, length)
    return _address(cls, value)


_PARTS_OF_NETWORK: Final = attrgetter("network_address._ip", "network_address._scope_id", "_prefixlen")


@functools.lru_cache(maxsize=256)
def _text_of_ipv6_network(number: int, length: int) -> str:
    return f"{sys.modules['ipaddress'].IPv6Address(number)}/{length}"


def _address(cls: Any, value: Any) -> str:
    """Return the text of an IP address, an interface or a network."""
    if type(value) is cls:
        return _text(cls, value)
    ipaddress = sys.modules["ipaddress"]
    version = cls.__name__[:4]
    address: Any = getattr(ipaddress, f"{version}Address")
    base = stored_attribute(value, "network_address") if cls.__name__.endswith("Network") else value
    text = str(address(stored_attribute(base, "_ip")))
    scope = stored_attribute(base, "_scope_id")
    text = f"{text}%{scope}" if type(scope) is str else text
    return text if cls.__name__.endswith("Address") else f"{text}/{stored_attribute(value, '_prefixlen')}"


def _zone(cls: Any, value: Any) -> object:
    return cls.key.__get__(value)


def _array(cls: Any, value: Any) -> object:
    return cls.__getitem__(value, slice(0, MAX_VALUES + 1)).tolist()


def _row(cls: Any, value: Any) -> Pairs:
    return Pairs(zip(cls.keys(value), cls.__iter__(value)))


# numpy and pandas


def _numpy_integer(cls: Any, value: Any) -> object:
    return cls.__int__(value)  # `item` is slower


def _numpy_float(cls: Any, value: Any) -> object:
    return cls.__float__(value)


def _numpy_scalar(cls: Any, value: Any) -> object:
    match cls.dtype.__get__(value).kind:
        case "f":
            # `item` of a `longdouble` returns the `longdouble` itself.
            return cls.__float__(value)
        case "c":
            return complex(cls.real.__get__(value), cls.imag.__get__(value))
        case _:
            return cls.item(value)


def _numpy_time(_: Any, value: Any) -> str | None:
    text = str(sys.modules["numpy"].datetime_as_string(value))
    return None if text == "NaT" else text


def _numpy_duration(cls: Any, value: Any) -> str | None:
    numpy = sys.modules["numpy"]
    if numpy.isnat(value):
        return None
    unit, count = numpy.datetime_data(cls.dtype.__get__(value))
    number = int(cls.view(value, "int64")) * count
    if unit in _NANOSECONDS:
        return duration_text(number * _NANOSECONDS[unit])
    # Months and years have no fixed length, and picoseconds are rare.
    return f"{number} {unit}"


_NANOSECONDS: Final = {
    "W": 604_800 * 10**9,
    "D": 86_400 * 10**9,
    "h": 3_600 * 10**9,
    "m": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 10**3,
    "ns": 1,
}


def _numpy_array(cls: Any, value: Any) -> object:
    dtype = cls.dtype.__get__(value)
    is_time = dtype.kind in "mM"
    if cls.size.__get__(value) <= MAX_ITEMS and not is_time:
        return cls.tolist(value)
    shape = cls.shape.__get__(value)
    if cls.size.__get__(value) > MAX_ITEMS or len(shape) > 1:
        return _shape("numpy.ndarray", shape, dtype)
    # `tolist` would make numbers of them.
    return [cls.__getitem__(value, index) for index in range(shape[0])] if shape else cls.__getitem__(value, ())


def _masked_array(cls: Any, value: Any) -> str:
    return _shape("numpy.ma.MaskedArray", cls.shape.__get__(value), cls.dtype.__get__(value))


def _series(cls: Any, value: Any) -> object:
    shape = cls.shape.__get__(value)
    if shape[0] > MAX_ITEMS:
        return _shape(f"pandas.{cls.__name__}", shape, cls.dtype.__get__(value))
    return list(cls.tolist(value))


def _frame(cls: Any, value: Any) -> str:
    return f"<pandas.DataFrame {cls.shape.__get__(value)}>"


def _shape(name: str, shape: tuple[int, ...], dtype: Any) -> str:
    return f"<{name} {tuple(shape)} {str(dtype.name)[:MAX_ITEMS]}>"


def _timestamp(cls: Any, value: Any) -> object:
    # pandas keeps nanoseconds, and years that `datetime` does not have.
    if cls.nanosecond.__get__(value) == 0 and cls.year.__get__(value) == dt.datetime.year.__get__(value):
        return plain_datetime(value)
    text: str = cls.isoformat(value)
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _timedelta(cls: Any, value: Any) -> str:
    days, seconds = cls.days.__get__(value), cls.seconds.__get__(value)
    micros, nanos = cls.microseconds.__get__(value), cls.nanoseconds.__get__(value)
    return duration_text(((days * 86_400 + seconds) * 10**6 + micros) * 1000 + nanos)


# URLs


def without_credentials(url: str) -> str:
    """Return a URL without the user name and the password, in its authority or in its query.

    >>> without_credentials("postgres://me:secret@db:5432/shop?user=me&sslmode=require")
    'postgres://db:5432/shop?sslmode=require'
    """
    if "@" in url:  # asked first, because most URLs have none
        url = _USER.sub(r"\1", url, count=1)
    if "?" not in url:
        return url
    head, mark, query = url.partition("?")
    query, hash_mark, fragment = query.partition("#")
    if _CREDENTIAL_KEY.search(query):
        pairs = [(key, item) for key, item in parse_qsl(query, True) if not _CREDENTIAL_KEY.fullmatch(f"{key}=")]
        query = urlencode(pairs)
        mark = "?" if query else ""
    return f"{head}{mark}{query}{hash_mark}{fragment}"


_USER: Final = re.compile(r"^((?:[A-Za-z][A-Za-z0-9+.-]*:)?//)[^/?#]*@")
_CREDENTIAL_KEY: Final = re.compile(r"(user|username|user_name|password|passwd|pass|pwd)=", re.IGNORECASE)


def _url(cls: Any, value: Any) -> str:
    return without_credentials(cls.__str__(value))


def _multi_host_url(cls: Any, value: Any) -> str:
    """Return the text of a URL whose authority is several hosts, each of which may have a user and a password."""
    text = _url(cls, value)
    hosts = cls.hosts(value)
    if len(hosts) <= 1:
        return text
    names = (f"{host['host'] or ''}{'' if host['port'] is None else ':' + str(host['port'])}" for host in hosts)
    return re.sub(r"//[^/?#]*", lambda _: f"//{','.join(names)}", text, count=1)


def _pydantic_url(_: Any, value: Any) -> object:
    # It is an instance of one of pydantic_core's two classes.
    return stored_attribute(value, "_url")


def _stored_url(_: Any, value: Any) -> object:
    url = stored_attribute(value, "_url")
    return without_credentials(url) if type(url) is str else None


def _split_url(_: Any, value: Any) -> str:
    """Return the text of a `urllib.parse.SplitResult` or `ParseResult`, also of bytes."""
    parts = [
        each.decode("utf-8", "replace") if type(each) is bytes else str.__str__(each) for each in tuple.__iter__(value)
    ]
    scheme, netloc, path, *params, query, fragment = parts
    path = ";".join([path, *filter(None, params)])
    netloc = netloc.rpartition("@")[2]
    head = f"{scheme}:" if scheme else ""
    authority = f"//{netloc}" if netloc else ""
    return without_credentials(f"{head}{authority}{path}{'?' * bool(query)}{query}{'#' * bool(fragment)}{fragment}")


def _fields_url(names: Iterable[str]) -> NamedConverter:
    """Return a converter for a named tuple that has the parts of a URL, credentials among them, as its fields."""

    def convert(cls: Any, value: Any) -> str:
        parts = dict(zip(cls._fields, tuple.__iter__(value)))
        scheme, host, port, path = (parts[name] for name in names)
        slash = "" if not path or str(path).startswith("/") else "/"
        return f"{scheme or ''}://{host or ''}{f':{port}' if port else ''}{slash}{path or ''}"

    return convert


_CONVERTERS: Final[Mapping[NamedConverter, Iterable[str]]] = {
    _fraction: ["fractions.Fraction"],
    _ipv4_address: ["ipaddress.IPv4Address"],
    _ipv6_network: ["ipaddress.IPv6Network"],
    _address: [f"ipaddress.IPv{kind}" for kind in ("4Interface", "4Network", "6Address", "6Interface")],
    _zone: ["zoneinfo.ZoneInfo"],
    _array: ["array.array"],
    _row: ["sqlite3.Row"],
    _attributes: ["argparse.Namespace"],
    _split_url: [f"urllib.parse.{kind}{suffix}" for kind in ("SplitResult", "ParseResult") for suffix in ("", "Bytes")],
    # The methods of the classes themselves are faster than those that they inherit.
    _numpy_integer: [f"numpy.{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)] + ["numpy.integer"],
    _numpy_float: [f"numpy.float{bits}" for bits in (16, 32, 64)],
    _numpy_scalar: ["numpy.generic"],
    _numpy_time: ["numpy.datetime64"],
    _numpy_duration: ["numpy.timedelta64"],
    _numpy_array: ["numpy.ndarray"],
    _masked_array: ["numpy.ma.MaskedArray"],
    _series: ["pandas.Series", "pandas.Index"],
    _frame: ["pandas.DataFrame"],
    _timestamp: ["pandas.Timestamp"],
    _timedelta: ["pandas.Timedelta"],
    _none: ["pandas._libs.tslibs.nattype.NaTType", "pandas._libs.missing.NAType"],
    _text: ["pandas.Period", "asyncpg.pgproto.pgproto.UUID", "uuid_utils.UUID"],
    _secret: [
        *(f"pydantic.types.{name}" for name in ("_SecretBase", "Secret", "SecretStr", "SecretBytes")),
        *(f"pydantic.v1.types.{name}" for name in ("SecretStr", "SecretBytes")),
    ],
    _pydantic_url: ["pydantic.networks._BaseUrl", "pydantic.networks._BaseMultiHostUrl"],
    _multi_host_url: ["pydantic_core.MultiHostUrl"],
    _url: ["pydantic_core.Url", "pydantic.v1.networks.AnyUrl", "httpx.URL", "httpx2.URL", "yarl.URL"],
    _stored_url: ["starlette.datastructures.URL"],
    _fields_url(("drivername", "host", "port", "database")): ["sqlalchemy.engine.url.URL"],
    _fields_url(("scheme", "host", "port", "path")): ["urllib3.util.url.Url"],
}
"""The full names of the classes that each function converts."""


def _by_name() -> Iterator[tuple[str, tuple[str, NamedConverter]]]:
    for function, names in _CONVERTERS.items():
        for full_name in names:
            module, _, name = full_name.rpartition(".")
            yield name, (module, function)


_BY_NAME: Final[dict[str, list[tuple[str, NamedConverter]]]] = {}
for _name, _entry in _by_name():
    _BY_NAME.setdefault(_name, []).append(_entry)
