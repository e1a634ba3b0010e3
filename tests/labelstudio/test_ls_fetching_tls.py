"""Certificates are checked against the name that was asked for, not the number connected to."""

import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fetching_doubles import Server, server

from labelstudio_backend.errors import AddressError
from labelstudio_backend.fetching import exchange as exchange_module
from labelstudio_backend.fetching.addresses import AddressPolicy
from labelstudio_backend.fetching.connecting import Connector
from labelstudio_backend.fetching.failures import UnreachableError
from labelstudio_backend.fetching.web_address import parse_address


@pytest.fixture
def certificate(tmp_path: Path, require: Callable[..., object]) -> Path:
    require("openssl", shutil.which("openssl") is not None)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=pictures.test"]
    command += ["-addext", "subjectAltName=DNS:pictures.test"]
    command += ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "certificate.pem"]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path / "certificate.pem"


@pytest.fixture
def secure(certificate: Path) -> Iterator[Server]:
    with server() as double:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_name("key.pem"))
        double.socket = context.wrap_socket(double.socket, server_side=True)
        double.gives("/x", b"over TLS")
        yield double


@pytest.fixture(autouse=True)
def _fresh_context() -> Iterator[None]:
    exchange_module._tls_context.cache_clear()
    yield
    exchange_module._tls_context.cache_clear()


def read(secure: Server, host: str) -> bytes:
    policy = AddressPolicy(
        f"https://{host}:{secure.port}", resolve=lambda host, port: ["127.0.0.1"]
    )
    return Connector(policy).get(parse_address(f"https://{host}:{secure.port}/x")).body


def test_a_certificate_for_the_name(
    secure: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert read(secure, "pictures.test") == b"over TLS"
    with pytest.raises(UnreachableError, match="certificate that is not trusted"):
        read(secure, "other.test")


def test_a_certificate_that_nobody_vouches_for(secure: Server) -> None:
    with pytest.raises(UnreachableError, match="SSL_CERT_FILE"):
        read(secure, "pictures.test")
    assert secure.seen == []


def test_a_redirect_from_tls_to_plain_http_is_not_followed(
    secure: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with server() as plain:
        plain.gives("/y", b"for all to read")
        secure.redirects("/x", f"{plain.url}/y")
        policy = AddressPolicy(
            None,
            [f"pictures.test:{secure.port}", f"127.0.0.1:{plain.port}"],
            resolve=lambda host, port: ["127.0.0.1"],
        )
        with pytest.raises(AddressError, match="redirects from https to http"):
            Connector(policy).get(parse_address(f"https://pictures.test:{secure.port}/x"))
        assert plain.seen == []
