"""An address decides who can come: this machine only, or everybody who can reach it.

A toy server on 0.0.0.0 is open to the café's whole network. So whatever is not certain to be local
counts as public: a host name, an empty host, an address of this machine in some network.
"""

from __future__ import annotations

import ipaddress
from typing import Final

_DATAGRAMS: Final = ("udp:", "unixgram:")


def is_local(address: str) -> bool:
    """Whether only this machine can reach what listens there.

    Args:
        address: `host:port`, `[host]:port`, `:port` (which is 127.0.0.1), with or without `udp:` before it,
            `unix:/path` or `unixgram:/path`; `fd:3` is what whoever started us has opened, and answers for.
    """
    if address.startswith(("unix:", "unixgram:", "fd:")):
        return True
    host = host_of(address.removeprefix("udp:"))
    if host in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def is_for_datagrams(address: str) -> bool:
    """Whether what is sent there are datagrams, which have no connection."""
    return address.startswith(_DATAGRAMS)


def host_of(address: str) -> str:
    """The host in an address, without brackets; empty if there is none."""
    host, colon, _ = address.rpartition(":")
    return (host if colon and not address.endswith("]") else address).removeprefix("[").removesuffix("]")
