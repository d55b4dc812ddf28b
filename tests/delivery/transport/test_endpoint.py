"""Endpoint URLs, targets of gRPC and proxies: how they are checked and completed."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.delivery.transport.endpoint import (
    grpc_endpoint,
    http_endpoint,
    other_host,
    other_port,
    port_of,
    proxy_for,
    proxy_url,
    scheme_of,
    shown_endpoint,
)


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("http://a:4318/v1/logs", "http://a:4318/v1/logs"),
        ("https://me:secret@a/v1/logs?key=secret#secret", "https://a/v1/logs"),
        ("https://me:se@cret@a", "https://a"),
        ("a:4317", "a:4317"),
        ("me:secret@a:4317", "a:4317"),
        ("dns:///a:4317", "dns:///a:4317"),
        ("https://me:se/cret@a", "https://..."),
        ("https://me:se?cret@a", "https://..."),
        ("https://a?key=sec@ret", "https://..."),
        ("https://me:se://cret@a", "https://..."),
        ("", ""),
    ],
)
def test_endpoint_in_a_message_has_no_secrets(endpoint: str, shown: str) -> None:
    """Of an endpoint that may have a secret in any place, only the scheme is shown."""
    assert shown_endpoint(endpoint) == shown


@pytest.mark.parametrize(
    ("value", "of_the_signal", "url"),
    [
        ("http://a:4318", False, "http://a:4318/v1/logs"),
        ("http://a:4318/", False, "http://a:4318/v1/logs"),
        ("http://a/base/?key=1", False, "http://a/base/v1/logs"),
        ("HTTPS://a", False, "HTTPS://a/v1/logs"),
        ("http://a/own", True, "http://a/own"),
        ("http://a/own?key=1#part", True, "http://a/own?key=1"),
        ("http://a", True, "http://a/"),
        ("http://[::1]:4318", True, "http://[::1]:4318/"),
    ],
)
def test_http_endpoint_is_a_base_or_the_whole_url(value: str, of_the_signal: bool, url: str) -> None:
    """Only the endpoint of the common variable gets the path of the logs signal."""
    assert http_endpoint(value, of_the_signal=of_the_signal) == url


@pytest.mark.parametrize(
    "value",
    [
        "a:4318",
        "ftp://a",
        "http://",
        "http://a:0",
        "http://a:99999",
        "http://a:port",
        "http://a b",
        "http://a\n",
        "http://ä",
        "http://[::1",
        "http://user:canary@a",
        "http://canary@a",
        f"http://{'x' * 70}.example",
    ],
)
def test_unusable_url_is_an_error_that_does_not_show_it(value: str) -> None:
    """A URL may contain a password, so the message has no part of it."""
    with pytest.raises(ValueError, match="it ") as caught:
        http_endpoint(value, of_the_signal=True)

    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("value", ["http://a:4317", "a:4317", "dns:///a:4317", "unix:/run/otlp.sock"])
def test_grpc_endpoint_is_a_url_or_a_target(value: str) -> None:
    """Either form is passed to gRPC as it is."""
    assert grpc_endpoint(value) == value


@pytest.mark.parametrize("value", ["a b", "user@a", "http://user@a", "ä:1", "http://"])
def test_unusable_grpc_endpoint_is_an_error(value: str) -> None:
    """A target with a space, with letters beyond ASCII or with credentials is refused."""
    with pytest.raises(ValueError, match="it "):
        grpc_endpoint(value)


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("http://localhost:4318", None),
        ("http://app.localhost", None),
        ("http://127.0.0.1", None),
        ("http://127.8.8.8", None),
        ("http://[::1]:4318", None),
        ("http://[::ffff:127.0.0.1]", None),
        ("unix:/run/otlp.sock", None),
        ("unix-abstract:otlp", None),
        ("localhost:4317", None),
        ("dns:///localhost:4317", None),
        ("dns://8.8.8.8/localhost:4317", None),
        ("ipv6:[::1]:4317", None),
        ("http://collector.example", "collector.example"),
        ("collector.example:4317", "collector.example"),
        ("dns:///collector.example:4317", "collector.example"),
        ("http://localhost.example", "localhost.example"),
        ("http://10.0.0.1", "10.0.0.1"),
        ("http://[::ffff:10.0.0.1]", "::ffff:10.0.0.1"),
        ("ipv4:127.0.0.1:1,10.0.0.1:1", ""),
        ("[", ""),
    ],
)
def test_host_that_may_be_another_machine(endpoint: str, host: str | None) -> None:
    """The host is `None` only if it is certainly this machine; credentials may go there without encryption."""
    assert other_host(endpoint) == host


def test_port_is_that_of_the_scheme_by_default() -> None:
    """The scheme may be written in any case of letters."""
    assert [port_of(url) for url in ("http://a", "HTTPS://a", "http://a:1", "https://[::1]:2")] == [80, 443, 1, 2]


@given(st.text())
def test_scheme_is_http_https_or_none(text: str) -> None:
    """Any text has one of the three, in any case of letters."""
    assert scheme_of(text) in {None, "http", "https"}
    assert scheme_of(f"HtTp://{text}") == "http"


def test_port_of_a_target_of_grpc() -> None:
    """A target with several addresses has the port 0."""
    targets = ["http://a:1", "https://a", "a:4317", "dns:a:4317", "dns://8.8.8.8/a:4317", "ipv4:10.1.2.3:1,10.1.2.4:1"]

    assert [other_port(target) for target in targets] == [1, 443, 4317, 4317, 4317, 0]


PROXIES = {"http_proxy": "plain", "https_proxy": "tls", "all_proxy": "all"}


@pytest.mark.parametrize(
    ("environ", "secure", "found"),
    [
        (PROXIES, True, ("https_proxy", "tls")),
        (PROXIES, False, ("http_proxy", "plain")),
        ({"all_proxy": "all"}, True, ("all_proxy", "all")),
        ({"HTTPS_PROXY": "upper"}, True, ("HTTPS_PROXY", "upper")),
        ({"HTTPS_PROXY": "upper", "https_proxy": "lower"}, True, ("https_proxy", "lower")),
        ({"https_proxy": "lower", "HTTPS_PROXY": "upper"}, True, ("https_proxy", "lower")),
        ({"https_proxy": ""}, True, None),
        ({"https_proxy": "", "HTTPS_PROXY": "upper"}, True, None),
        ({"https_proxy": "", "all_proxy": "all"}, True, ("all_proxy", "all")),
        ({**PROXIES, "no_proxy": "collector.example:4318"}, True, None),
        ({**PROXIES, "no_proxy": "collector.example:4317"}, True, ("https_proxy", "tls")),
        ({**PROXIES, "no_proxy": "ector.example"}, True, ("https_proxy", "tls")),
        ({**PROXIES, "no_proxy": ":4318,4318"}, True, ("https_proxy", "tls")),
        ({**PROXIES, "no_proxy": "other.example"}, True, ("https_proxy", "tls")),
        ({**PROXIES, "no_proxy": "collector.example"}, True, None),
        ({**PROXIES, "no_proxy": "example"}, True, None),
        ({**PROXIES, "NO_PROXY": "*"}, True, None),
        ({"HTTP_PROXY": "plain"}, False, ("HTTP_PROXY", "plain")),
        ({"HTTP_PROXY": "evil", "REQUEST_METHOD": "GET"}, False, None),
        ({}, True, None),
    ],
)
def test_proxy_of_the_environment(environ: dict[str, str], secure: bool, found: tuple[str, str] | None) -> None:
    """The rules are those of other programs. In a CGI script, `HTTP_PROXY` is a header that any client can set."""
    assert proxy_for(environ, "collector.example", 4318, secure=secure) == found


ENTRIES = [
    "10.0.0.0/8",
    "10.1.2.3",
    "10.1.2.0/24",
    "10.1.2.3/32",
    "0.0.0.0/0",
    "10.0.0.0/33",
    "10.0.0.0/255.0.0.0",
    "10.",
    "::1",
]
ENTRIES += [
    "*",
    "",
    " ",
    "example",
    ".example",
    "a.example",
    "a.example:4318",
    ":4318",
    "4318",
    "le",
    "10.1.2.3:4318",
    "fd00::/8",
]
HOSTS = ["10.1.2.3", "11.1.2.3", "a.example", "example", "b.test", "::1", "fd00::1"]


@pytest.mark.skipif(sys.platform != "linux", reason="requests asks the system for more on other platforms")
@given(st.lists(st.sampled_from(ENTRIES), max_size=3), st.sampled_from(HOSTS), st.sampled_from([4318, 80]))
def test_exceptions_from_the_proxy_are_those_of_requests(entries: list[str], host: str, port: int) -> None:
    """The SDK's exporters use requests, and the outbox has to take the same way. (Older releases accept parts of words, too.)"""
    requests = pytest.importorskip("requests", "2.33")
    no_proxy = ", ".join(entries)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("no_proxy", "NO_PROXY"):
            patch.delenv(name, raising=False)
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        is_excepted = requests.utils.should_bypass_proxies(url, no_proxy)

    assert (proxy_for({"http_proxy": "proxy", "no_proxy": no_proxy}, host, port, secure=False) is None) == is_excepted


def test_proxy_url_gets_a_scheme() -> None:
    """A proxy without a scheme is one for HTTP, and other kinds of proxies are refused."""
    assert proxy_url("proxy:3128") == "http://proxy:3128"
    assert proxy_url("http://user:password@proxy:3128") == "http://user:password@proxy:3128"
    for value in ("https://proxy", "ftp://proxy", "socks5://proxy", "http://", "a b"):
        with pytest.raises(ValueError, match=r"it |only "):
            proxy_url(value)


def test_proxy_over_tls_is_an_error_that_names_the_way_out() -> None:
    """The address may contain a password, so it is not in the message."""
    with pytest.raises(ValueError, match=r"by http:// only .* NO_PROXY") as error:
        proxy_url("https://user:canary@proxy:1080")
    assert "canary" not in str(error.value)


def test_socks_proxy_is_named() -> None:
    """The message says what to do instead, without the value, which may contain a password."""
    with pytest.raises(ValueError, match=r"it is a SOCKS proxy \(socks5h://\).* NO_PROXY") as error:
        proxy_url("socks5h://user:canary@proxy:1080")

    assert "canary" not in str(error.value)
