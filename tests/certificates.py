"""Certificates for tests, as files, which is how commands and other programs take them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import trustme


def issued(
    authority: trustme.CA, folder: Path, *names: str, called: str | None = None, **terms: Any
) -> SimpleNamespace:
    """Write a certificate for these hosts: `cert`, its `key`, `both` in one, and the authority's, `ca`."""
    paths = {name: folder / f"{name}.pem" for name in ("cert", "key", "both", "ca")}
    certificate = authority.issue_cert(*(names or ("127.0.0.1", "localhost")), common_name=called, **terms)
    certificate.cert_chain_pems[0].write_to_path(paths["cert"])
    certificate.private_key_pem.write_to_path(paths["key"])
    certificate.private_key_and_cert_chain_pem.write_to_path(paths["both"])
    authority.cert_pem.write_to_path(paths["ca"])
    return SimpleNamespace(**paths)
