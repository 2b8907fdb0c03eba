"""An address decides who can come: this machine only, or everybody who can reach it.

A toy server on 0.0.0.0 is open to the café's whole network. So whatever is not certain to be local
counts as public: a host name, an empty host, an address of this machine in some network.
"""

from __future__ import annotations

import ipaddress


def is_local(address: str) -> bool:
    """Whether only this machine can reach what listens there.

    Args:
        address: `host:port`, `[host]:port`, `:port` (which is 127.0.0.1), with or without `udp:` before it,
            `unix:/path` or `unixgram:/path`.
    """
    if address.startswith(("unix:", "unixgram:")):
        return True
    host = host_of(address.removeprefix("udp:"))
    if host in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def host_of(address: str) -> str:
    """The host in an address, without brackets; empty if there is none."""
    host, colon, _ = address.rpartition(":")
    return (host if colon and not address.endswith("]") else address).removeprefix("[").removesuffix("]")
