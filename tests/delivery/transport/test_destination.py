"""A destination: secrets that are never shown, and TLS settings."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from delivery.loopback import Certificates
from heliograph.delivery.transport.destination import Destination, Headers, OtlpProtocol


def http(url: str = "https://collector.example/v1/logs", **options: Any) -> Destination:
    return Destination(protocol=OtlpProtocol.HTTP, url=url, **options)


def test_repr_has_no_credentials() -> None:
    """The text has no value of a header, no query, no password of the URL or the proxy, and no path of a key."""
    destination = http(
        "https://user:canary@collector.example/v1/logs?key=canary#canary",
        headers={"authorization": "Bearer canary"},
        proxy="http://user:canary@proxy.example",
        client_key="/canary",
    )

    assert (
        repr(destination) == "Destination(http/protobuf, https://collector.example/v1/logs, Headers(authorization=…))"
    )
    assert "canary" not in repr(Headers(destination.headers))


def test_secrets_are_whole_values_and_their_words() -> None:
    """A server may repeat `Bearer abcdef`, or `abcdef` alone."""
    destination = http(
        "https://user:url-secret@collector.example/v1/logs?key=query-secret",
        headers={"authorization": "Bearer abcdef"},
        proxy="http://user:proxy-secret@proxy.example",
    )

    assert destination.secrets == (
        "Basic",
        "Basic dXNlcjpwcm94eS1zZWNyZXQ=",
        "Bearer",
        "Bearer abcdef",
        "abcdef",
        "dXNlcjpwcm94eS1zZWNyZXQ=",
        "key=query-secret",
        "proxy-secret",
        "query-secret",
        "url-secret",
    )


@pytest.mark.parametrize(
    ("query", "secrets"),
    [
        ("api_key=SECRET123", {"api_key=SECRET123", "SECRET123"}),
        ("a=first-key&b=second-key", {"first-key", "second-key"}),
        ("api_key=&v=1", {"api_key=&v=1"}),
        ("SECRET123&v=1", {"SECRET123"}),
        ("api_key=c2VjcmV0Cg==", {"c2VjcmV0Cg=="}),
        ("api_key=one%2Ftwo", {"one%2Ftwo", "one/two"}),
        ("api_key=left+right", {"left+right", "left right"}),
    ],
)
def test_secrets_are_values_of_the_query(query: str, secrets: set[str]) -> None:
    """Some backends take their key as a query, and repeat the key alone: as it was sent, or decoded."""
    found = http(f"https://collector.example/v1/logs?{query}").secrets

    assert secrets <= set(found)
    assert "api_key" not in found


def test_secrets_are_decoded_passwords_and_user_names_without_one() -> None:
    """A user name without a password may be a token."""
    assert {"p%40ss", "p@ss"} <= set(http(proxy="http://user:p%40ss@proxy.example").secrets)
    assert "proxy-token" in http(proxy="http://proxy-token@proxy.example").secrets


def test_words_of_less_than_four_characters_are_no_secrets() -> None:
    """Without `1`, `on` and `dev`, messages stay readable."""
    assert http(headers={"x-debug": "1", "x-mode": "on", "x-stage": "dev"}).secrets == ()
    assert http(headers={"x-stage": "prod"}).secrets == ("prod",)


@pytest.mark.parametrize(
    ("url", "insecure", "secure"),
    [
        ("https://collector.example", False, True),
        ("HTTPS://collector.example", True, True),
        ("http://collector.example", False, False),
        ("collector.example:4317", False, True),
        ("collector.example:4317", True, False),
    ],
)
def test_tls_is_decided_by_the_scheme_or_else_by_insecure(url: str, insecure: bool, secure: bool) -> None:
    """The specification says so: `OTEL_EXPORTER_OTLP_INSECURE` is for targets without a scheme."""
    assert Destination(protocol=OtlpProtocol.GRPC, url=url, insecure=insecure).secure is secure


def test_tls_context_checks_the_server() -> None:
    """The certificate of the server must be valid, and be for its name."""
    context = http().tls_context()

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_tls_context_reads_its_files_each_time(tmp_path: Path) -> None:
    """A file that is missing, or is not PEM, is an error then."""
    certificates = Certificates(tmp_path)
    destination = http(ca_file=str(tmp_path / "later.pem"), **certificates.client())
    with pytest.raises(FileNotFoundError):
        destination.tls_context()
    (tmp_path / "later.pem").write_text("nonsense")
    with pytest.raises(ssl.SSLError):
        destination.tls_context()
    certificates.authority.cert_pem.write_to_path(str(tmp_path / "later.pem"))

    assert len(destination.tls_context().get_ca_certs()) == 1


def test_encrypted_key_is_an_error_and_does_not_ask_for_its_password(tmp_path: Path) -> None:
    """A program without a terminal would wait for ever."""
    client = Certificates(tmp_path).client()
    key_path = Path(client["client_key"])
    key = load_pem_private_key(key_path.read_bytes(), None)
    key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")))

    with pytest.raises(ssl.SSLError):
        http(**client).tls_context()


def test_headers_compare_like_the_mapping_that_they_are() -> None:
    """Headers are a copy: later changes of the original have no effect."""
    original = {"x-team": "a"}
    headers = Headers(original)
    original["x-team"] = "b"

    assert headers == {"x-team": "a"}
    assert (len(headers), headers["x-team"]) == (1, "a")
    assert Headers() == {}


def test_directory_of_certificates_is_trusted(tmp_path: Path) -> None:
    """OpenSSL looks each certificate of the directory up when it needs it."""
    context = http(ca_file=str(tmp_path)).tls_context()

    assert context.cert_store_stats()["x509_ca"] == 0
    assert context.verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize("capath", [None, "empty", "missing"])
def test_certificates_of_certifi_are_trusted_where_the_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capath: str | None
) -> None:
    """Python of python.org for macOS, and some containers, come without certificates."""
    (tmp_path / "empty").mkdir()
    found = SimpleNamespace(cafile=None, capath=capath and str(tmp_path / capath))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: found)

    assert http().tls_context().cert_store_stats()["x509_ca"] > 50

    monkeypatch.setitem(sys.modules, "certifi", None)
    assert http().tls_context().verify_mode is ssl.CERT_REQUIRED
