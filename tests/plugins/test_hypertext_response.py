from http import HTTPStatus
from typing import Any

import pytest

from coshell_plugins.hypertext.response import BYTES, JSON, TEXT, Response, piece_of, ready, with_type_of


@pytest.mark.parametrize(
    ("returned", "status", "kind", "body"),
    [
        ("é", 200, TEXT, "é".encode()),
        ("", 200, TEXT, b""),
        (b"\0", 200, BYTES, b"\0"),
        (b"", 200, None, b""),
        (bytearray(b"a"), 200, BYTES, b"a"),
        ({"a": 1}, 200, JSON, b'{"a": 1}'),
        ([1, 2], 200, JSON, b"[1, 2]"),
        ((404, "no"), 404, TEXT, b"no"),
        ((HTTPStatus.CREATED, {}), 201, JSON, b"{}"),
        ((200, {"Content-Type": "text/html"}, "<p>"), 200, b"text/html", b"<p>"),
        (Response(500, [("content-type", "a/b")], b"x"), 500, b"a/b", b"x"),
        (Response(), 200, None, b""),
    ],
)
def test_what_an_app_returns_becomes_an_answer(
    returned: Any, status: int, kind: bytes | None, body: bytes
) -> None:
    answer = ready(returned)
    assert (answer.status, dict(answer.headers).get(b"content-type"), answer.body) == (status, kind, body)
    assert answer.pieces is None


def test_what_can_be_iterated_is_streamed_and_has_the_type_of_its_first_piece() -> None:
    answer = ready(str(n) for n in range(3))
    assert answer.pieces is not None
    assert answer.headers == []
    assert with_type_of(answer, "0").headers == [(b"content-type", TEXT)]
    assert with_type_of(answer, b"0").headers == [(b"content-type", BYTES)]
    html = ready((200, {"content-type": "text/html"}, iter("ab")))
    assert with_type_of(html, "a").headers == [(b"content-type", b"text/html")]
    assert [piece_of(piece) for piece in ["é", b"a", bytearray(b"b")]] == ["é".encode(), b"a", b"b"]


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection", "Keep-Alive"])
def test_how_long_it_is_and_how_it_ends_is_not_the_apps_to_say(name: str) -> None:
    assert ready((200, {name: "5"}, "x")).headers == [(b"content-type", TEXT)]


@pytest.mark.parametrize(
    ("returned", "why"),
    [
        (None, "not NoneType"),
        (3, "not int"),
        ((200,), "has not 1 parts"),
        (("200", "x"), "a status is a number such as 200, not '200'"),
        ((True, "x"), "not True"),
        ((99, "x"), "between 200 and 599, not 99"),
        ((100, "x"), "between 200 and 599, not 100"),
        ((200, None), "not NoneType"),
        ({"a": {1}}, "not JSON serializable"),
    ],
)
def test_what_is_no_answer_is_said_in_words(returned: Any, why: str) -> None:
    with pytest.raises((TypeError, ValueError), match=why):
        ready(returned)


def test_a_piece_is_text_or_bytes() -> None:
    with pytest.raises(TypeError, match="consists of str and bytes, not int"):
        piece_of(1)
