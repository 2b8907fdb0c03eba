"""Who can come to an address."""

from __future__ import annotations

import pytest

from coshell.reach import host_of, is_for_datagrams, is_local


@pytest.mark.parametrize(
    "address",
    [
        ":0",
        "127.0.0.1:9501",
        "127.8.8.8:1",
        "localhost:80",
        "[::1]:9501",
        "unix:/run/a.sock",
        "unix:b:c",
        "udp::0",
        "udp:127.0.0.1:53",
        "unixgram:/run/log",
        "fd:3",
    ],
)
def test_what_only_this_machine_reaches_is_local(address: str) -> None:
    assert is_local(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0:9501",
        "[::]:9501",
        "192.168.0.7:80",
        "[fe80::1%eth0]:80",
        "example.org:80",
        "*:80",
        "udp:0.0.0.0:53",
    ],
)
def test_what_is_not_certain_to_be_local_is_public(address: str) -> None:
    assert not is_local(address)


@pytest.mark.parametrize(
    ("address", "host"), [("a:1", "a"), ("[::1]:1", "::1"), (":1", ""), ("a", "a"), ("[::1]", "::1")]
)
def test_the_host_of_an_address(address: str, host: str) -> None:
    assert host_of(address) == host


@pytest.mark.parametrize(
    ("address", "is_so"),
    [
        ("udp:host:1", True),
        ("unixgram:/tmp/s", True),
        ("host:1", False),
        ("unix:/tmp/s", False),
        ("udp", False),
    ],
)
def test_which_addresses_have_datagrams(address: str, is_so: bool) -> None:
    assert is_for_datagrams(address) is is_so
