"""Nothing foreign reaches the terminal raw."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coshell.text import PeerText, cut, nearest, plural, printable, printable_bytes, width_of

HOSTILE = [
    "\x1b]0;owned\x07",
    "\x9b2J",
    "\u202etxt.exe",
    "\u200b",
    "\u2028",
    "\x7f",
    "\x08\x08",
    "\udc80",
    "\x1b[6n",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_terminal_would_obey_is_written_out(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert "\\" in shown


@given(st.text())
def test_whatever_passes_is_printable_but_for_newlines_and_tabs(text: str) -> None:
    assert printable(text).replace("\n", "").replace("\t", "").isprintable()
    assert printable(text, keep="").isprintable()


@given(st.text())
def test_where_only_ascii_can_be_shown_the_rest_is_written_out(text: str) -> None:
    assert printable(text, ascii_only=True).isascii()
    assert printable(text, keep="", ascii_only=True).isprintable()


@given(st.text().filter(str.isprintable))
def test_printable_text_is_left_alone(text: str) -> None:
    assert printable(text) == text


@given(st.binary())
def test_bytes_become_one_printable_line(data: bytes) -> None:
    assert printable_bytes(data).isprintable()
    assert printable_bytes(data, ascii_only=True).isascii()


@given(st.text(), st.lists(st.integers(min_value=0, max_value=30)))
def test_text_that_arrives_in_pieces_is_the_same_as_in_one(text: str, places: list[int]) -> None:
    data = text.encode("utf-8", "replace")
    cuts = sorted({min(place, len(data)) for place in places})
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    peer, whole = PeerText(), PeerText()
    got = "".join(peer.feed(piece) for piece in pieces) + peer.feed(b"", final=True)
    assert got == whole.feed(data, final=True)


def test_invalid_utf8_of_a_peer_is_shown_by_its_bytes() -> None:
    assert PeerText().feed(b"a\xff\x1bz", final=True) == "a\\xff\\x1bz"


@given(
    st.text().map(lambda text: printable(text, keep="")),
    st.integers(min_value=0, max_value=50),
    st.booleans(),
)
def test_cut_text_fits(text: str, width: int, middle: bool) -> None:
    assert width_of(cut(text, width, middle=middle)) <= width


def test_a_wide_character_takes_two_columns_and_is_never_halved() -> None:
    assert width_of("日本e\u0301") == 5
    assert cut("日本語", 4) == "日…"
    assert cut("日本語", 5) == "日本…"


def test_a_cut_says_that_it_cut() -> None:
    assert cut("connection", 6) == "conne…"
    assert cut("connection", 5, middle=True) == "co…on"
    assert cut("connection", 6, ascii_only=True) == "conne~"


def test_the_nearest_word_is_found_and_nonsense_is_not() -> None:
    assert nearest("stauts", ["status", "set", "show"]) == "status"
    assert nearest("zzz", ["status", "set"]) is None


def test_one_is_singular() -> None:
    assert (plural(1, "line"), plural(2345, "line")) == ("1 line", "2,345 lines")
