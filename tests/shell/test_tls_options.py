"""Options of TLS go together in the same way at every command, and what was agreed on is told in the same words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coloop import TlsPicture
from coshell.certificate import Certificate, Trust
from coshell.command_error import UsageError
from coshell.tls_options import certificate, in_words, trust


def test_without_tls_there_is_neither() -> None:
    assert certificate("serve", tls=False, cert=None, key=None) is None
    assert trust("nc", tls=False, ca=None, insecure=False) is None


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"cert": Path("c")}, "x: --cert is for --tls"),
        ({"key": Path("k")}, "x: --key is for --tls"),
        ({"tls": True}, "x: --tls needs --cert FILE and --key FILE: openssl req "),
        ({"tls": True, "key": Path("k")}, "x: --tls needs --cert FILE and --key FILE: openssl req "),
    ],
)
def test_who_serves_needs_a_certificate_and_tls(given: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        certificate("x", **({"tls": False, "cert": None, "key": None} | given))
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"ca": Path("c")}, "x: --ca is for --tls"),
        ({"insecure": True}, "x: --insecure is for --tls"),
        ({"servername": "s"}, "x: --servername is for --tls"),
        (
            {"tls": True, "insecure": True, "ca": Path("c")},
            "x: --insecure trusts any certificate, --ca only ",
        ),
    ],
)
def test_who_connects_trusts_only_over_tls_and_in_one_way(given: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        trust("x", **({"tls": False, "ca": None, "insecure": False} | given))
    assert str(caught.value).startswith(why)


def test_a_certificate_is_found_again_when_the_folder_is_another(
    files: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert certificate("x", tls=True, cert=Path("both.pem"), key=None) == Certificate(files.both)
    assert certificate("x", tls=True, cert=Path("cert.pem"), key=Path("key.pem")) == Certificate(
        files.cert, files.key
    )


def test_whom_to_trust_is_as_given() -> None:
    assert trust("x", tls=True, ca=None, insecure=True, servername="s") == Trust(None, True, "s")


@pytest.mark.parametrize(
    ("subject", "asked_for", "as_server", "words"),
    [
        ("commonName=here", "here", False, "TLSv1.3 AES, certificate of commonName=here"),
        (None, "here", False, "TLSv1.3 AES, certificate not verified"),
        (None, "here", True, "TLSv1.3 AES, asked for here"),
        (None, None, True, "TLSv1.3 AES"),
        ("commonName=\x1b[2J\u202e", None, False, r"TLSv1.3 AES, certificate of commonName=\x1b[2J\u202e"),
        (None, "\x1b[2J\n", True, r"TLSv1.3 AES, asked for \x1b[2J\x0a"),
    ],
)
def test_what_was_agreed_on_is_told_escaped(
    subject: str | None, asked_for: str | None, as_server: bool, words: str
) -> None:
    picture = TlsPicture("TLSv1.3", "AES", None, asked_for, subject)
    assert in_words(picture, as_server=as_server) == words
