import os
import socket
import subprocess
import sys

import pytest

import coloop
from coloop._address import Address, address_of, parse_address, resolve


@pytest.mark.parametrize(
    ("given", "meant", "text"),
    [
        (("localhost", 9501), Address("localhost", 9501), "localhost:9501"),
        ("localhost:9501", Address("localhost", 9501), "localhost:9501"),
        (":9501", Address("127.0.0.1", 9501), "127.0.0.1:9501"),
        (("", 9501), Address("127.0.0.1", 9501), "127.0.0.1:9501"),
        ("127.0.0.1:0", Address("127.0.0.1", 0), "127.0.0.1:0"),
        ("[::1]:80", Address("::1", 80), "[::1]:80"),
        (("::1", 80), Address("::1", 80), "[::1]:80"),
        ("unix:/run/echo.sock", Address(path="/run/echo.sock"), "unix:/run/echo.sock"),
        ("unix:a:b", Address(path="a:b"), "unix:a:b"),
        ("example.org.:65535", Address("example.org.", 65535), "example.org.:65535"),
        ("bücher.example:1", Address("bücher.example", 1), "bücher.example:1"),
    ],
)
def test_every_form_is_understood_and_written_back(given: object, meant: Address, text: str) -> None:
    assert parse_address(given) == meant  # type: ignore[arg-type]
    assert str(meant) == text
    assert parse_address(text) == meant


def test_an_address_is_taken_as_it_is() -> None:
    address = Address("127.0.0.1", 80)
    assert parse_address(address) is address


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("9501", "has no port: write host:port"),
        ("", "has no port"),
        (":", "port must be a number, not ''"),
        (":abc", "port must be a number, not 'abc'"),
        (":٣", "port must be a number, not '٣'"),
        (":1_000", "port must be a number, not '1_000'"),
        (":" + "9" * 5000, "port must be a number"),
        (":70000", "port must be 0 to 65535, not 70000"),
        (":-1", "port must be 0 to 65535, not -1"),
        (("h", 65536), "port must be 0 to 65535, not 65536"),
        (("a\0b", 1), r"host 'a\\x00b' has a NUL in it"),
        ("x" * 70 + ":1", "host has a part of 70 characters, more than 63: 'xxxxxxxxxxxxxxxxxxxx'..."),
        (("a." * 200, 1), "host has 400 characters, more than 253"),
        ("a..b:1", "host 'a..b' has an empty part"),
        ("::1:80", "too many colons: write an IPv6 address as"),
        (("\udc80", 1), "is no host name"),
        ("unix:", "unix path is empty"),
        ("unix:a\0b", "unix path 'a.*b' has a NUL in it"),
        ("unix:/" + "é" * 54, "unix path has 109 bytes, more than 107"),
    ],
)
def test_what_is_wrong_is_named(given: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_address(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [9501, None, b"localhost:1", ("h",), ("h", 1, 2), ["h", 1], (1, 1)])
def test_what_is_no_address_is_refused(given: object) -> None:
    with pytest.raises(TypeError, match=r"must be a string|an address is"):
        parse_address(given)  # type: ignore[arg-type]


@pytest.mark.parametrize("port", [True, 1.0, None])
def test_a_port_is_an_integer(port: object) -> None:
    with pytest.raises(TypeError, match="port must be a number"):
        parse_address(("localhost", port))  # type: ignore[arg-type]


def test_the_longest_path_fits() -> None:
    path = "/" + "x" * 106
    assert parse_address(f"unix:{path}").path == path


def test_the_kernel_s_forms_become_addresses() -> None:
    assert address_of(("127.0.0.1", 80)) == Address("127.0.0.1", 80)
    assert address_of(("::1", 80, 0, 0)) == Address("::1", 80)
    assert address_of("/run/x") == Address(path="/run/x")
    assert str(address_of("")) == "unix:"
    assert str(address_of(b"\0abstract")) == "unix:\0abstract"


def test_numbers_need_no_resolver_and_no_coroutine() -> None:
    assert resolve(Address("127.0.0.1", 80)) == [(socket.AF_INET, ("127.0.0.1", 80))]
    assert resolve(Address("::1", 80)) == [(socket.AF_INET6, ("::1", 80, 0, 0))]
    assert resolve(Address(path="/x")) == [(socket.AF_UNIX, "/x")]


@pytest.mark.coroutine
def test_a_name_is_looked_up_on_a_thread() -> None:
    lookup = coloop.go(resolve, Address("localhost", 80))
    assert lookup.waiting_on == "thread _look_up"
    assert (socket.AF_INET, ("127.0.0.1", 80)) in lookup.result(30)


@pytest.mark.coroutine
def test_a_host_that_is_not_there_is_named() -> None:
    with pytest.raises(socket.gaierror, match=r"^no such host: 'nosuch.invalid'") as caught:
        resolve(Address("nosuch.invalid", 80))
    assert caught.value.errno is not None


def test_plain_names_do_not_load_the_codec_for_international_ones() -> None:
    """It brings a table of a megabyte along."""
    script = (
        "import sys; from coloop._address import parse_address, resolve;"
        "resolve(parse_address(':80')); sys.exit('encodings.idna' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env={"PYTHONPATH": os.pathsep.join(sys.path)})
