"""Addresses that cannot be had are told in a line, and only what is ours is removed."""

import errno
import os
import socket
from pathlib import Path

import pytest

from coloop._address import Address
from coloop._binding import SocketFile, bind_failure, give_back, ipv4_first, take_address
from coloop._kernel import told

HERE = Address("127.0.0.1", 80)


@pytest.mark.parametrize(
    ("number", "place", "line"),
    [
        (errno.EACCES, HERE, "port 80 needs root or CAP_NET_BIND_SERVICE"),
        (errno.EACCES, Address(path="/x/y"), "cannot listen on unix:/x/y: permission denied"),
        (
            errno.EADDRNOTAVAIL,
            Address("192.0.2.1", 80, datagram=True),
            "192.0.2.1 is not an address of this machine",
        ),
        (errno.EADDRINUSE, Address(path="@x", datagram=True), "unixgram:@x is in use"),
        (errno.EINVAL, HERE, "cannot listen on 127.0.0.1:80: invalid argument"),
    ],
)
def test_each_failure_says_what_to_do(number: int, place: Address, line: str) -> None:
    error = bind_failure(OSError(number, os.strerror(number)), place)
    assert str(error) == line
    assert error.errno == number
    assert type(error) is type(OSError(number, ""))


def test_what_was_told_already_is_not_told_again() -> None:
    error = told(errno.EEXIST, "it is a folder")
    assert bind_failure(error, HERE) is error


def test_a_file_is_removed_by_who_has_made_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    place = Address(path=str(path))
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        mine = take_address(first, str(path), place)
        assert mine is not None
        path.rename(tmp_path / "elsewhere")
        theirs = take_address(second, str(path), place)
        mine.remove()
        assert path.exists()
        give_back(second, theirs)
        assert not path.exists()
        assert second.fileno() == -1
        mine.remove()


def test_what_was_never_there_is_not_removed(tmp_path: Path) -> None:
    absent = SocketFile(str(tmp_path / "s"))
    (tmp_path / "s").write_text("later")
    absent.remove()
    assert (tmp_path / "s").read_text() == "later"


def test_what_has_no_file_leaves_none_to_be_removed() -> None:
    with socket.socket() as raw:
        assert take_address(raw, ("127.0.0.1", 0), Address("127.0.0.1", 0)) is None
        give_back(raw, None)
        assert raw.fileno() == -1


def test_ipv4_comes_first() -> None:
    targets = [(socket.AF_INET6, 1), (socket.AF_INET, 2), (socket.AF_INET6, 3)]
    assert min(targets, key=ipv4_first) == (socket.AF_INET, 2)
