"""Who serves over TLS shows a certificate, and whoever calls decides which ones to believe.

A certificate and its key are kept as the names of two files, and each process that serves reads them itself: no key
is ever sent to another. They are read again at each reload, which is how a certificate is renewed.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .command_error import CommandError

TRY_ONE: Final = (
    "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout key.pem -out cert.pem "
    "-days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
)


@dataclass(frozen=True)
class Certificate:
    """What a server shows.

    Attributes:
        cert: the file that it is in, as PEM.
        key: the file of its key; None if both are in one.
    """

    cert: Path
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Read the files as they are now.

        Raises:
            CommandError: they give no certificate with its key.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        files = [self.cert] if self.key is None else [self.cert, self.key]
        try:
            for file in files:
                _check_readable(file)
            # Without a password OpenSSL would ask the terminal for one.
            context.load_cert_chain(self.cert, self.key, password=lambda: "")
        except ssl.SSLError as error:
            names = " and ".join(map(str, files))
            raise CommandError(f"no certificate and key can be had from {names}: {_reason(error)}") from None
        except OSError as error:
            why = error.strerror or str(error)
            raise CommandError(
                f"no certificate and key can be had from {error.filename}: {why.lower()}"
            ) from None
        return context


def _check_readable(file: Path) -> None:
    """OpenSSL does not tell which file it cannot read."""
    with file.open("rb"):
        pass


def _reason(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key is that of another certificate"
    return "they are no pair in PEM, or the key has a password"


@dataclass(frozen=True)
class Trust:
    """Which certificates a client takes.

    Attributes:
        ca: a file of authorities, as PEM, or of the very certificate; None for the authorities of the system.
        insecure: any certificate will do.
        servername: whom it must be for; None for the host of the address.
    """

    ca: Path | None = None
    insecure: bool = False
    servername: str | None = None

    def context(self) -> ssl.SSLContext | bool:
        """What `coloop.connect` takes for `tls`; raises CommandError if the file is none of certificates."""
        if self.insecure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        if self.ca is None:
            return True
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            why = (
                "it is no PEM" if isinstance(error, ssl.SSLError) else (error.strerror or str(error)).lower()
            )
            raise CommandError(f"no certificates can be had from {self.ca}: {why}") from None
        # The server's own will do, as it does from 3.13 on by default.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    def advice(self, error: ssl.SSLCertVerificationError, *, can_name: bool = True) -> str:
        """The error, and what can be done about it, by `--servername` too if there is one."""
        help_ = "--ca FILE trusts those in FILE, "
        if error.verify_code in _OTHER_NAME:
            help_ = "--servername NAME takes one for NAME, " if can_name else ""
        elif error.verify_code in _OTHER_TIME:
            help_ = ""
        elif self.ca is not None:
            help_ = f"{self.ca} does not vouch for it, "
        return f"{error}; {help_}--insecure takes any"


_OTHER_TIME: Final = frozenset({9, 10})  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
# X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_EMAIL_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_OTHER_NAME: Final = frozenset({62, 63, 64})
