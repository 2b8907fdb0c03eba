"""A certificate for the servers that speak TLS: made on the spot by `openssl`, and gone with this process."""

from __future__ import annotations

import atexit
import functools
import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple


class NoCertificate(RuntimeError):
    """There is no `openssl`, or it refused: what needs TLS is left out."""


class Certificate(NamedTuple):
    """Two PEM files.

    Attributes:
        chain: the certificate, signed by itself: the load generator does not look at it.
        key: what belongs to it, an elliptic curve as is usual today.
    """

    chain: str
    key: str


@functools.cache
def certificate() -> Certificate:
    """The same for all contenders of a run.

    Raises:
        NoCertificate: it cannot be made here; the message tells why.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        raise NoCertificate("no openssl is installed to make a certificate with")
    folder = Path(tempfile.mkdtemp(prefix="coshell-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Certificate(str(folder / "certificate.pem"), str(folder / "key.pem"))
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-keyout", made.key, "-out", made.chain]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoCertificate(f"openssl makes no certificate: {done.stderr.strip()[-200:]}")
    return made


def server_context(chain: str, key: str) -> ssl.SSLContext:
    """Python's own context with its defaults, for all who take one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    return context
