"""What a server shows, and what a client believes, comes from files."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme

import coloop
from coshell.certificate import Certificate, Trust
from coshell.command_error import CommandError
from tests.certificates import issued


def test_a_certificate_is_read_anew_each_time(
    authority: trustme.CA, files: SimpleNamespace, tmp_path: Path
) -> None:
    shown = Certificate(files.cert, files.key)

    def subject() -> str | None:
        with coloop.serve(":0", lambda _: None, tls=shown.context()) as server:
            with coloop.connect(server.address, tls=Trust(files.ca).context()) as client:
                return client.tls.peer_subject

    assert "commonName" not in coloop.run(subject)
    issued(authority, tmp_path, called="renewed")
    assert "commonName=renewed" in coloop.run(subject)


def refusal(cert: Path, key: Path | None = None) -> str:
    with pytest.raises(CommandError) as caught:
        Certificate(cert, key).context()
    return str(caught.value)


def test_the_file_that_cannot_be_read_is_named(files: SimpleNamespace, tmp_path: Path) -> None:
    beginning = "no certificate and key can be had from"
    assert refusal(tmp_path / "no", files.key) == f"{beginning} {tmp_path}/no: no such file or directory"
    assert refusal(files.cert, tmp_path / "no") == f"{beginning} {tmp_path}/no: no such file or directory"
    assert refusal(tmp_path) == f"{beginning} {tmp_path}: is a directory"


def test_a_key_of_another_certificate_is_called_that(
    authority: trustme.CA, files: SimpleNamespace, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = issued(authority, tmp_path / "other")
    assert refusal(files.cert, other.key).endswith(": the key is that of another certificate")


def test_the_certificate_of_a_server_itself_can_be_trusted(files: SimpleNamespace) -> None:
    def main() -> str:
        with coloop.serve(":0", lambda _: None, tls=Certificate(files.both).context()) as server:
            with coloop.connect(server.address, tls=Trust(files.cert).context()) as client:
                return client.tls.version

    assert coloop.run(main) == "TLSv1.3"


def test_the_authorities_of_the_system_are_left_to_the_runtime() -> None:
    assert Trust().context() is True


@pytest.mark.parametrize(
    ("name", "why"), [("key.pem", "it is no PEM"), ("nothing.pem", "no such file or directory")]
)
def test_what_is_no_file_of_certificates_is_refused(
    files: SimpleNamespace, tmp_path: Path, name: str, why: str
) -> None:
    with pytest.raises(CommandError, match=why):
        Trust(tmp_path / name).context()


def test_the_advice_fits_the_fault(authority: trustme.CA, files: SimpleNamespace, tmp_path: Path) -> None:
    def told(trust: Trust) -> str:
        with coloop.serve(":0", lambda _: None, tls=Certificate(files.both).context()) as server:
            with pytest.raises(ssl.SSLCertVerificationError) as caught:
                coloop.connect(server.address, tls=trust.context(), server_hostname=trust.servername)
            return trust.advice(caught.value)

    assert "; --ca FILE trusts those in FILE, " in coloop.run(told, Trust())
    assert "; --servername NAME takes one for NAME, " in coloop.run(told, Trust(files.ca, servername="other"))
    assert "; --servername NAME takes one for NAME, " in coloop.run(
        told, Trust(files.ca, servername="10.0.0.1")
    )
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    assert f"; {tmp_path}/other.pem does not vouch for it, " in coloop.run(
        told, Trust(tmp_path / "other.pem")
    )
    issued(authority, tmp_path, not_after=datetime(2020, 1, 1, tzinfo=UTC))
    assert coloop.run(told, Trust(files.ca)).endswith("certificate has expired; --insecure takes any")
