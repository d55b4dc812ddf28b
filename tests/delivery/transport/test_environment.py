"""The destination that the standard environment variables describe, and the problems in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from delivery.loopback import Certificates
from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.delivery.transport.environment import destination_from_env
from heliograph.errors import SettingsError

PREFIX = "OTEL_EXPORTER_OTLP_"


def read(allow_plaintext: bool = False, **variables: str) -> Destination:
    """Read variables, given without their common prefix; those in lower case (proxies) have none."""
    environ = {name if name.islower() else f"{PREFIX}{name}": value for name, value in variables.items()}
    return destination_from_env(environ, allow_plaintext=allow_plaintext)


def problem_of(**variables: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(**variables)
    (problem,) = caught.value.problems
    return problem


def test_defaults_are_those_of_the_specification() -> None:
    """The defaults are HTTP to this host, ten seconds, and no compression."""
    found = read()

    assert (found.protocol, found.url) == (OtlpProtocol.HTTP, "http://localhost:4318/v1/logs")
    assert (found.timeout_seconds, found.gzip, dict(found.headers)) == (10.0, False, {})
    assert (found.ca_file, found.client_certificate, found.client_key, found.insecure) == (None, None, None, False)
    assert read(PROTOCOL="grpc").url == "http://localhost:4317"


def test_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every exporter of OpenTelemetry does the same."""
    monkeypatch.setenv(f"{PREFIX}ENDPOINT", "http://127.0.0.1:1")

    assert destination_from_env().url == "http://127.0.0.1:1/v1/logs"


def test_variables_of_the_logs_signal_replace_the_common_ones() -> None:
    """The endpoint of the signal is used as it is; the common one is a base. Lists of headers are not merged."""
    assert read(ENDPOINT="http://a:1/base/").url == "http://a:1/base/v1/logs"
    assert read(ENDPOINT="http://a:1", LOGS_ENDPOINT="https://b:2/own").url == "https://b:2/own"
    assert read(TIMEOUT="2000", LOGS_TIMEOUT="500").timeout_seconds == 0.5
    assert read(COMPRESSION="none", LOGS_COMPRESSION="gzip").gzip
    assert dict(read(HEADERS="a=1", LOGS_HEADERS="b=2").headers) == {"b": "2"}


def test_empty_variable_counts_as_unset() -> None:
    """A variable of blanks counts as unset, too."""
    assert read(TIMEOUT="2000", LOGS_TIMEOUT=" ").timeout_seconds == 2.0
    assert read(ENDPOINT="").url == "http://localhost:4318/v1/logs"


def test_headers_are_decoded_and_never_shown() -> None:
    """Values are percent-encoded, names become lower case, and empty entries are skipped."""
    found = read(ENDPOINT="https://a", HEADERS="Authorization=Bearer%20canary,,x-team = a ,")

    assert dict(found.headers) == {"authorization": "Bearer canary", "x-team": "a"}
    assert "canary" not in repr(found)
    assert "canary" in found.secrets


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("canary", "is not `name=value`"),
        ("x y=canary", "has a name that is not allowed for a header"),
        ("content-length=canary", "names a header that the transport sets itself"),
        ("Transfer-Encoding=canary", "names a header that the transport sets itself"),
        ("x=canary%0d%0aevil: 1", "has characters that are not allowed in a header"),
        ("x=canäry", "has characters that are not allowed in a header"),
        ("x=canary%ff", "has a value that is not percent-encoded UTF-8"),
    ],
)
def test_header_that_cannot_be_sent_is_named_by_its_position(value: str, problem: str) -> None:
    """The entry itself may be secret, and is not shown."""
    text = problem_of(ENDPOINT="https://a", HEADERS=f"a=1,{value}")

    assert text.startswith(f"{PREFIX}HEADERS: entry 2 of the list")
    assert problem in text
    assert "can" not in text.replace("cannot", "")


@pytest.mark.parametrize("name", ["grpc-timeout", "x-bin", "x!"])
def test_metadata_keys_of_grpc_have_rules_of_their_own(name: str) -> None:
    """The same names are allowed over HTTP."""
    assert "gRPC does not allow" in problem_of(PROTOCOL="grpc", HEADERS=f"{name}=1")
    assert read(HEADERS=f"{name}=1").headers[name] == "1"


def test_credentials_are_sent_unencrypted_to_this_host_only() -> None:
    """Headers and queries count as credentials. A setting allows other hosts."""
    other = "http://collector.example"
    assert "HELIOGRAPH_OUTBOX_ALLOW_PLAINTEXT" in problem_of(ENDPOINT=other, HEADERS="authorization=canary")
    assert f"{PREFIX}LOGS_ENDPOINT: credentials" in problem_of(LOGS_ENDPOINT=f"{other}/?key=canary")
    assert "credentials" in problem_of(
        PROTOCOL="grpc", ENDPOINT="collector.example:4317", INSECURE="true", HEADERS="a=1234"
    )

    assert read(ENDPOINT=other, HEADERS="authorization=canary", allow_plaintext=True).headers
    assert read(ENDPOINT="http://127.0.0.1:4318", HEADERS="authorization=canary").headers
    assert read(ENDPOINT="https://collector.example", HEADERS="authorization=canary").headers
    assert read(PROTOCOL="grpc", ENDPOINT="collector.example:4317", HEADERS="a=1234").headers
    assert read(ENDPOINT=other).url == f"{other}/v1/logs"


@pytest.mark.parametrize(("value", "seconds"), [("2000", 2.0), ("100", 0.1), ("0", 3600.0), ("999999999999", 3600.0)])
def test_timeout_is_in_milliseconds_and_an_hour_at_most(value: str, seconds: float) -> None:
    """0 means no limit in the specification; here it means an hour."""
    assert read(TIMEOUT=value).timeout_seconds == seconds


@pytest.mark.parametrize("value", ["soon", "-1", "1.5", "²", "1" * 13])
def test_timeout_that_is_no_number_is_a_problem(value: str) -> None:
    """A negative number and a fraction are problems, too."""
    assert "has to be a whole number of milliseconds" in problem_of(TIMEOUT=value)


def test_timeout_that_was_meant_in_seconds_is_a_problem() -> None:
    """OpenTelemetry's SDK for Python reads this variable in seconds, against the specification."""
    assert "in milliseconds" in problem_of(TIMEOUT="10")


@pytest.mark.parametrize(("value", "insecure"), [("true", True), ("1", True), ("False", False), ("0", False)])
def test_insecure_is_a_boolean(value: str, insecure: bool) -> None:
    """The words are accepted in any case of letters, and so are 1 and 0."""
    assert read(INSECURE=value).insecure is insecure


def test_certificates_are_checked_when_they_are_read(tmp_path: Path) -> None:
    """A key needs its certificate, and both must belong together."""
    certificates, others = Certificates(tmp_path), Certificates(tmp_path / "others")
    others.directory.mkdir()
    mine, theirs = certificates.client(), others.client()
    certificate, key = mine["client_certificate"], mine["client_key"]

    found = read(CERTIFICATE=certificates.ca_file, CLIENT_CERTIFICATE=certificate, CLIENT_KEY=key)
    assert (found.ca_file, found.client_certificate, found.client_key) == (certificates.ca_file, certificate, key)
    assert "a key without a certificate" in problem_of(CLIENT_KEY=key)
    assert "do not belong together" in problem_of(CLIENT_CERTIFICATE=certificate, CLIENT_KEY=theirs["client_key"])
    assert "cannot be read (No such file" in problem_of(CLIENT_CERTIFICATE="/no/such")
    assert "is not usable PEM" in problem_of(CERTIFICATE=key)


def test_proxy_of_the_environment_is_for_other_hosts() -> None:
    """The loopback address of a proxy is the proxy itself."""
    proxy = "http://proxy.example:3128"
    assert read(ENDPOINT="https://collector.example", https_proxy=proxy).proxy == proxy
    assert read(ENDPOINT="https://collector.example", http_proxy=proxy).proxy is None
    assert read(ENDPOINT="http://127.0.0.1:4318", http_proxy=proxy).proxy is None
    assert "https_proxy: the outbox speaks to proxies by http:// only" in problem_of(
        ENDPOINT="https://a.example", https_proxy="https://proxy"
    )


def test_every_problem_is_reported_at_once_without_a_value_of_a_header() -> None:
    """Each problem names its variable."""
    with pytest.raises(SettingsError) as caught:
        read(
            PROTOCOL="http/json",
            TIMEOUT="soon",
            HEADERS="canary",
            COMPRESSION="zip",
            CERTIFICATE="/no/such",
            ENDPOINT="canary",
            INSECURE="perhaps",
            CLIENT_KEY="/no/such",
        )

    text = str(caught.value)
    names = ("PROTOCOL", "TIMEOUT", "HEADERS", "COMPRESSION", "CERTIFICATE", "ENDPOINT", "INSECURE", "CLIENT_KEY")
    for name in names:
        assert f"{PREFIX}{name}: " in text
    assert len(caught.value.problems) == len(names)
    assert "canary" not in text


def test_trust_without_a_variable_of_ours_is_that_of_requests(tmp_path: Path) -> None:
    """REQUESTS_CA_BUNDLE, or else CURL_CA_BUNDLE, names a file or a directory.

    OpenTelemetry's own variable comes first.
    """
    first, second = Certificates(tmp_path / "first"), Certificates(tmp_path / "second")
    for each in (first, second):
        each.directory.mkdir()
    https = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example"}

    def ca(**variables: str) -> str | None:
        return destination_from_env({**https, **variables}).ca_file

    assert ca() is None
    assert ca(REQUESTS_CA_BUNDLE=first.ca_file, CURL_CA_BUNDLE=second.ca_file) == first.ca_file
    assert ca(REQUESTS_CA_BUNDLE="", CURL_CA_BUNDLE=second.ca_file) == second.ca_file
    assert ca(CURL_CA_BUNDLE=str(second.directory)) == str(second.directory)
    assert ca(REQUESTS_CA_BUNDLE=first.ca_file, OTEL_EXPORTER_OTLP_CERTIFICATE=second.ca_file) == second.ca_file
    assert ca(REQUESTS_CA_BUNDLE=first.ca_file, OTEL_EXPORTER_OTLP_PROTOCOL="grpc") is None
    assert ca(REQUESTS_CA_BUNDLE="/no/such", OTEL_EXPORTER_OTLP_ENDPOINT="http://collector.example") is None
    with pytest.raises(SettingsError, match="REQUESTS_CA_BUNDLE: cannot be read"):
        ca(REQUESTS_CA_BUNDLE="/no/such")


def test_proxy_is_not_used_for_hosts_that_no_proxy_names() -> None:
    """NO_PROXY names them by network and by port, for HTTP and gRPC."""

    def proxy(no_proxy: str, **variables: str) -> str | None:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://10.1.2.3:4318",
            "http_proxy": "http://proxy:3128",
            **variables,
        }
        return destination_from_env({**environ, "no_proxy": no_proxy}).proxy

    assert proxy("10.0.0.0/8") is None
    assert proxy("11.0.0.0/8") == "http://proxy:3128"
    assert proxy("a.example:4317", OTEL_EXPORTER_OTLP_ENDPOINT="http://a.example:4317") is None
    grpc = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_INSECURE": "true"}
    assert proxy("a.example:4317", OTEL_EXPORTER_OTLP_ENDPOINT="a.example:4317", **grpc) is None
    assert proxy("a.example:1", OTEL_EXPORTER_OTLP_ENDPOINT="a.example:4317", **grpc) == "http://proxy:3128"
    for target in ("dns:a.example:4317", "dns://8.8.8.8/a.example:4317"):
        assert proxy("a.example:4317", OTEL_EXPORTER_OTLP_ENDPOINT=target, **grpc) is None
        assert proxy("a.example:1", OTEL_EXPORTER_OTLP_ENDPOINT=target, **grpc) == "http://proxy:3128"
