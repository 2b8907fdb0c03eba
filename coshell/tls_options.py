"""The options of all commands that speak TLS, and what is told of it: the same words everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from .arg import Arg
from .certificate import TRY_ONE, Certificate, Trust
from .command_error import UsageError
from .text import printable

if TYPE_CHECKING:
    from coloop import TlsPicture

TLS: Final = Arg("--tls", "over TLS", "flag")
CERT: Final = Arg("--cert", "the certificate to show, as PEM", "path")
KEY: Final = Arg("--key", "its key, if that is in a file of its own", "path")
CA: Final = Arg("--ca", "trust the certificates in this file, and what they vouch for", "path")
INSECURE: Final = Arg("--insecure", "trust any certificate", "flag")
SERVERNAME: Final = Arg("--servername", "ask for this server, and want its certificate", "name")

SERVE_TLS: Final = (Arg("--tls", "over TLS, with --cert and --key", "flag"), CERT, KEY)
CONNECT_TLS: Final = (TLS, CA, INSECURE, SERVERNAME)

TRY_TLS: Final = f"A certificate to try with: {TRY_ONE}"


def certificate(command: str, *, tls: bool, cert: Path | None, key: Path | None) -> Certificate | None:
    """What a server is to show; None without TLS.

    Raises:
        UsageError: the options do not go together.
        CommandError: the files are no certificate with its key.
    """
    if not tls:
        _refuse(command, {"--cert": cert, "--key": key}, "for --tls")
        return None
    if cert is None:
        raise UsageError(f"{command}: --tls needs --cert FILE and --key FILE: {TRY_ONE}")
    found = Certificate(cert.absolute(), None if key is None else key.absolute())
    found.context()  # whatever is wrong with it is said before anything is opened
    return found


def trust(
    command: str, *, tls: bool, ca: Path | None, insecure: bool, servername: str | None = None
) -> Trust | None:
    """Whom a client believes; None without TLS.

    Raises:
        UsageError: the options do not go together.
    """
    if not tls:
        _refuse(command, {"--ca": ca, "--insecure": insecure, "--servername": servername}, "for --tls")
        return None
    if insecure and ca is not None:
        raise UsageError(f"{command}: --insecure trusts any certificate, --ca only some: give one of them")
    return Trust(ca, insecure, servername)


def _refuse(command: str, given: dict[str, object], why: str) -> None:
    for option, value in given.items():
        if value:
            raise UsageError(f"{command}: {option} is {why}")


def in_words(tls: TlsPicture, *, as_server: bool = False) -> str:
    """What both ends have agreed on: `TLSv1.3 TLS_AES_256_GCM_SHA384, certificate of commonName=localhost`."""
    if as_server:
        what = f", asked for {tls.server_name}" if tls.server_name else ""
    elif tls.peer_subject is None:
        what = ", certificate not verified"
    else:
        what = f", certificate of {tls.peer_subject}"
    return printable(f"{tls.version} {tls.cipher}{what}", keep="")
