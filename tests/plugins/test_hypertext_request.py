import pytest

from coshell_plugins.hypertext.errors import Refused
from coshell_plugins.hypertext.request import Request


def request(*pieces: bytes, target: str = "/") -> Request:
    rest = iter([*pieces, b""])
    return Request("POST", target, receive=lambda: next(rest))


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", {}),
        ("/a%20b/%C3%A9?x=1&y=%26&x=2&z", "/a b/é", {"x": "2", "y": "&", "z": ""}),
        ("/a+b?c=d+e", "/a+b", {"c": "d e"}),
        ("http://host:80/p?q=1", "/p", {"q": "1"}),
        ("http://host", "/", {}),
        ("http://host?q=/", "/", {"q": "/"}),
        ("*", "*", {}),
        ("/redirect?to=http://x/", "/redirect", {"to": "http://x/"}),
    ],
)
def test_a_target_is_taken_apart(target: str, path: str, query: dict[str, str]) -> None:
    asked = Request("GET", target)
    assert (asked.path, asked.query, asked.target) == (path, query, target)


def test_the_body_is_read_once_and_kept() -> None:
    asked = request(b"ab", b"c")
    assert asked.body == b"abc"
    assert asked.body == b"abc"
    assert list(asked.stream()) == [b"abc"]


def test_the_body_can_be_had_piece_by_piece() -> None:
    assert list(request(b"ab", b"c").stream()) == [b"ab", b"c"]


def test_a_body_is_text_and_json() -> None:
    assert request("é".encode()).text == "é"
    assert request(b'{"a": [1]}').json() == {"a": [1]}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_is_the_clients_fault(body: bytes) -> None:
    with pytest.raises(Refused, match="400: the body is no JSON"):
        request(body).json()


def test_a_body_that_is_no_text_is_the_clients_fault() -> None:
    with pytest.raises(Refused, match="400: the body is no UTF-8"):
        _ = request(b"\xff").text


def test_a_body_that_nobody_has_read_in_time_is_gone_and_one_that_was_read_is_not() -> None:
    early, late = request(b"abc"), request(b"abc")
    assert early.body == b"abc"
    early.end()
    late.end()
    assert early.body == b"abc"
    with pytest.raises(RuntimeError, match="answered already"):
        _ = late.body


def test_it_is_shown_with_method_and_target() -> None:
    assert repr(request()) == "<Request POST />"
