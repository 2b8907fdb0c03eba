import random
from typing import Any

import pytest

from coloop._framing import (
    Delimited,
    Framing,
    LengthPrefixed,
    Lines,
    MessageTooLong,
    Raw,
    as_bytes,
    framing_of,
)

FRAMINGS = [
    Lines(),
    Delimited(b"\r\n"),
    Delimited(b"||"),
    Delimited(b"\0"),
    LengthPrefixed(1),
    LengthPrefixed(),
    LengthPrefixed(3, "little"),
]
MESSAGES = [b"", b"one", b"|", b"x" * 200, b"\r", b"|a", b"last"]


def sayable(framing: Framing) -> list[bytes]:
    """Those messages that it can tell apart; that of a line, its end included, is lost."""
    found = []
    for message in MESSAGES:
        try:
            framing.encode(message)
        except ValueError:
            continue
        found.append(message)
    return [one for one in found if not (isinstance(framing, Lines) and one.endswith(b"\r"))]


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_what_is_sent_comes_out_however_it_was_cut_in_pieces(framing: Framing, seed: int) -> None:
    messages = sayable(framing)
    assert len(messages) >= 5
    stream = b"".join(map(framing.encode, messages))
    decoder, dice, got = framing.decoder(), random.Random(seed), []
    while stream:
        size = dice.choice([1, 1, 2, 3, 50, 1000])
        got += decoder.feed(stream[:size])
        stream = stream[size:]
    assert got == messages
    assert decoder.rest == b""


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_a_message_that_is_not_whole_is_the_rest(framing: Framing) -> None:
    decoder = framing.decoder()
    stream = framing.encode(b"one") + framing.encode(b"two")
    assert decoder.feed(stream[:-1]) == [b"one"]
    assert decoder.rest == framing.encode(b"two")[:-1]
    assert decoder.feed(b"") == []
    assert decoder.feed(stream[-1:]) == [b"two"]


def test_raw_gives_out_what_comes_and_nothing_for_nothing() -> None:
    decoder = Raw().decoder()
    assert decoder.feed(b"a\nb") == [b"a\nb"]
    assert decoder.feed(b"") == []
    assert decoder.rest == b""
    assert Raw().encode(b"a\nb") == b"a\nb"


def test_a_line_may_come_with_a_carriage_return() -> None:
    assert Lines().decoder().feed(b"a\r\n\r\n\nb\rc\r\r\n") == [b"a", b"", b"", b"b\rc\r"]
    decoder = Lines().decoder()
    assert decoder.feed(b"a\r") == []
    assert decoder.feed(b"\n") == [b"a"]


LIMITED: list[tuple[Framing, bytes, bytes]] = [  # one that just fits, and the beginning of one that does not
    (Lines(5), b"12345\r\n", b"123456"),
    (Delimited(b"--", 5), b"12345--", b"123456-"),
    (LengthPrefixed(2, limit=5), b"\0\x0512345", b"\0\x06"),
    (LengthPrefixed(8, limit=5), bytes(7) + b"\x0512345", b"\xff" * 8),
]


@pytest.mark.parametrize(("framing", "fits", "excess"), LIMITED, ids=lambda each: str(each)[:12])
def test_what_is_too_long_is_refused_while_it_comes_behind_what_was_whole(
    framing: Framing, fits: bytes, excess: bytes
) -> None:
    assert framing.decoder().feed(fits) == [b"12345"]
    with pytest.raises(MessageTooLong, match="longer than 5 bytes") as caught:
        framing.decoder().feed(fits + fits + excess)
    assert caught.value.before == [b"12345", b"12345"]
    decoder = framing.decoder()
    with pytest.raises(MessageTooLong):
        for byte in excess:
            assert decoder.feed(bytes([byte])) == []


@pytest.mark.parametrize(("framing", "fits", "excess"), LIMITED, ids=lambda each: str(each)[:12])
def test_what_is_too_long_is_not_sent(framing: Framing, fits: bytes, excess: bytes) -> None:
    assert framing.encode(b"12345")
    with pytest.raises(MessageTooLong, match="6 bytes cannot be sent: the limit of its framing is 5"):
        framing.encode(b"123456")


def test_a_whole_message_that_is_too_long_is_refused_too() -> None:
    with pytest.raises(MessageTooLong) as caught:
        Lines(3).decoder().feed(b"abc\nabcd\nabc\n")
    assert caught.value.before == [b"abc"]


def test_a_length_that_the_prefix_cannot_say_is_refused() -> None:
    assert LengthPrefixed(1).encode(bytes(255))[0] == 255
    with pytest.raises(MessageTooLong):
        LengthPrefixed(1).encode(bytes(256))


@pytest.mark.parametrize(
    ("framing", "message"), [(Lines(), b"a\nb"), (Delimited(b"--"), b"a--b"), (Delimited(b"aa"), b"ba")]
)
def test_what_the_other_side_would_cut_elsewhere_is_not_sent(framing: Framing, message: bytes) -> None:
    with pytest.raises(ValueError, match="cannot have"):
        framing.encode(message)


def test_the_end_of_a_message_may_look_like_the_beginning_of_its_delimiter() -> None:
    framing = Delimited(b"aab")
    assert framing.decoder().feed(framing.encode(b"a")) == [b"a"]


def test_a_long_message_in_tiny_pieces_is_looked_at_once() -> None:
    """Counted, not timed: each search begins where the last one has ended."""

    class Counting(bytearray):
        looked_at = 0

        def find(self, what: Any, start: Any = 0, end: Any = None) -> int:
            Counting.looked_at += len(self) - start
            return super().find(what, start)

    decoder: Any = Delimited(b"\r\n").decoder()
    decoder._buffer = Counting()
    for _ in range(5000):
        decoder.feed(b"x")
    assert Counting.looked_at < 3 * 5000


@pytest.mark.parametrize(
    ("text", "framing"),
    [
        ("raw", Raw()),
        ("line", Lines()),
        (r"delimiter:\r\n", Delimited(b"\r\n")),
        ("delimiter:||", Delimited(b"||")),
        (r"delimiter:\x00", Delimited(b"\0")),
        ("delimiter:\xff", Delimited(b"\xff")),
        ("length:4", LengthPrefixed()),
        ("length:2:little", LengthPrefixed(2, "little")),
    ],
)
def test_a_framing_has_a_name_that_can_be_typed(text: str, framing: Framing) -> None:
    assert framing_of(text) == framing
    assert framing_of(str(framing)) == framing
    assert framing_of(text, limit=7).limit == 7


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lines",
        "delimiter:",
        "delimiter:\\",
        "delimiter:\u20ac",
        "length:",
        "length:0",
        "length:9",
        "length:4:up",
    ],
)
def test_what_names_no_framing_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"framing|delimiter|prefix") as caught:
        framing_of(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Lines(0),
        lambda: Lines(limit=-1),
        lambda: Delimited(b""),
        lambda: Delimited("x"),  # type: ignore[arg-type]
        lambda: LengthPrefixed(0),
        lambda: LengthPrefixed(4, "middle"),  # type: ignore[arg-type]
        lambda: Lines(1.5),  # type: ignore[arg-type]
        lambda: LengthPrefixed(True),
        lambda: framing_of(None),  # type: ignore[arg-type]
    ],
)
def test_a_framing_that_makes_no_sense_is_refused(make: Any) -> None:
    with pytest.raises(
        (ValueError, TypeError), match=r"must be|is one byte or more|has 1 to 8|is a number|is written"
    ):
        make()


@pytest.mark.parametrize("what", ["text", 5, None, [1]])
def test_only_bytes_are_sent(what: Any) -> None:
    for framing in (Raw(), *FRAMINGS):
        with pytest.raises(TypeError, match="a message is bytes, not"):
            framing.encode(what)
    assert as_bytes(bytearray(b"x")) == as_bytes(memoryview(b"x")) == b"x"
