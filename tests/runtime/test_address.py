import os
import socket
import subprocess
import sys

import pytest

import coloop
from coloop._address import Address, address_of, parse_address, parse_datagram_address, resolve

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract names")


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
        ("unix:./@x", Address(path="./@x"), "unix:./@x"),
        ("unixgram:/run/log.sock", Address(path="/run/log.sock", datagram=True), "unixgram:/run/log.sock"),
        ("udp::9501", Address("127.0.0.1", 9501, datagram=True), "udp:127.0.0.1:9501"),
        ("udp:[::1]:80", Address("::1", 80, datagram=True), "udp:[::1]:80"),
        ("udp:localhost:80", Address("localhost", 80, datagram=True), "udp:localhost:80"),
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
        ("udp:9501", "address 'udp:9501' has no port: write .* udp:host:port"),
        ("udp:::1:80", "too many colons"),
        ("unix:", "unix path is empty"),
        ("unixgram:", "unix path is empty: write unixgram:/path"),
        ("unix:@", "unix name is empty: write unix:@name"),
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


def test_abstract_names_are_linux_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert parse_address("unix:@name").kind == "unix"
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(ValueError, match=r"^only Linux has abstract names: write unix:\./@name"):
        parse_address("unix:@name")


def test_every_address_tells_its_kind() -> None:
    given = ["h:1", "udp:h:1", "unix:/x", "unixgram:/x"]
    assert [parse_address(each).kind for each in given] == ["tcp", "udp", "unix", "unixgram"]


def test_the_longest_path_fits() -> None:
    path = "/" + "x" * 106
    assert parse_address(f"unix:{path}").path == path


def test_the_kernel_s_forms_become_addresses() -> None:
    assert address_of(("127.0.0.1", 80)) == Address("127.0.0.1", 80)
    assert address_of(("::1", 80, 0, 0)) == Address("::1", 80)
    assert address_of("/run/x") == Address(path="/run/x")
    assert str(address_of("")) == str(address_of(None)) == "unix:"
    assert address_of(("fe80::1", 80, 0, 2)) == Address("fe80::1%2", 80)
    assert str(address_of(("::1", 80, 0, 0), datagram=True)) == "udp:[::1]:80"
    assert str(address_of("/run/x", datagram=True)) == "unixgram:/run/x"


@linux_only
@pytest.mark.parametrize(
    ("raw", "text"), [(b"\0name", "unix:@name"), ("@name", "unix:./@name"), (b"\0\xff", None)]
)
def test_names_with_and_without_a_file_are_told_apart_and_lead_back(
    raw: bytes | str, text: str | None
) -> None:
    address = address_of(raw)
    assert text is None or str(address) == text
    assert address.file == ("./@name" if isinstance(raw, str) else None)
    ((_, name),) = resolve(parse_address(str(address)))
    assert name == (raw if isinstance(raw, bytes) else "./@name")


def test_where_only_datagrams_make_sense_a_bare_port_is_udp() -> None:
    udp = Address("127.0.0.1", 80, datagram=True)
    for given in (":80", "udp::80", ("", 80), Address("127.0.0.1", 80), udp):
        assert parse_datagram_address(given) == udp
    assert parse_datagram_address("unixgram:/x") == Address(path="/x", datagram=True)
    with pytest.raises(ValueError, match=r"^unix:/x is the address of a stream: .* write unixgram:/x$"):
        parse_datagram_address("unix:/x")


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
