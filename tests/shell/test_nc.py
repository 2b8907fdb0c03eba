"""What is said in an nc session, and what is shown of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import coloop
from coloop.testing import socket_pair
from coshell.nc import MAX_LINE_CHARS, MAX_LINES_PER_S, Conversation, NcOptions, listen_to, unescape


class Clock:
    """A clock that is wound by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def conversation(clock: Clock) -> Conversation:
    return Conversation(NcOptions("nc#1"), clock)


# -- what is typed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "data"),
    [
        ("hello", b"hello"),
        ("", b""),
        (r"a\nb\r\t\0\e\\", b"a\nb\r\t\0\x1b\\"),
        (r"\x00\xff", b"\x00\xff"),
        (r"\u00e4\U0001F600", "ä😀".encode()),
        ("ä", "ä".encode()),
        (r"\\n", rb"\n"),
    ],
)
def test_escapes_become_bytes_and_the_rest_is_utf_8(typed: str, data: bytes) -> None:
    assert unescape(typed) == data


@pytest.mark.parametrize(
    ("typed", "column"), [(r"\d", 1), ("ab\\", 3), (r"ok \x1", 4), (r"\ud800", 1), (r"\U00110000", 1)]
)
def test_an_escape_that_does_not_exist_is_refused_with_its_column(typed: str, column: int) -> None:
    with pytest.raises(ValueError, match=f"column {column}"):
        unescape(typed)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\")))
def test_text_without_a_backslash_is_sent_as_it_stands(text: str) -> None:
    assert unescape(text) == text.encode()


def test_a_typed_line_gets_the_end_that_was_asked_for(clock: Clock) -> None:
    assert Conversation(NcOptions(), clock).typed("hi") == b"hi\n"
    assert Conversation(NcOptions(crlf=True), clock).typed("hi") == b"hi\r\n"


def test_after_our_half_is_closed_nothing_more_can_be_typed(conversation: Conversation) -> None:
    assert conversation.close_half() == ". sent FIN, still reading (peer may answer)"
    with pytest.raises(ValueError, match="our half is closed"):
        conversation.typed("more")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("TLSv1.3", ". sent close_notify, still reading (peer may answer, but many close then)"),
        ("TLSv1.2", ". sent close_notify, still reading (but TLSv1.2 has the peer close then)"),
    ],
)
def test_over_tls_no_fin_is_sent_but_a_close_notify(clock: Clock, version: str, said: str) -> None:
    assert Conversation(NcOptions(tls=version), clock).close_half() == said


# -- what is shown -----------------------------------------------------------------------------------


def test_the_first_line_tells_both_addresses(clock: Clock) -> None:
    opened = Conversation(NcOptions("nc#1", took_s=0.0003), clock).opened("127.0.0.1:51312", "127.0.0.1:9501")
    assert opened == "nc#1 connected 127.0.0.1:51312 -> 127.0.0.1:9501 in 300us"


def test_lines_are_shown_as_they_come(conversation: Conversation) -> None:
    assert conversation.received(b"one\ntwo\n") == ["< one", "< two"]
    assert conversation.received(b"\n") == ["< "]


def test_a_carriage_return_before_the_end_of_a_line_is_not_shown(conversation: Conversation) -> None:
    assert conversation.received(b"220 ready\r\n") == ["< 220 ready"]


def test_text_without_an_end_is_shown_at_once_and_what_follows_is_marked(conversation: Conversation) -> None:
    assert conversation.received(b"login: ") == ["< login: "]
    assert conversation.received(b"who") == ["<+who"]
    assert conversation.received(b"?\nnext\n") == ["<+?", "< next"]


def test_the_end_of_a_line_that_was_shown_already_is_no_line(conversation: Conversation) -> None:
    assert conversation.received(b"hi") == ["< hi"]
    assert conversation.received(b"\n") == []
    assert conversation.received(b"ho\n") == ["< ho"]


def test_control_bytes_are_shown_and_never_passed_on(conversation: Conversation) -> None:
    assert conversation.received(b"\x1b[2J\x07\x9b\n") == [r"< \x1b[2J\x07\x9b"]
    assert conversation.received("\u202e".encode() + b"\n") == [r"< \u202e"]


def test_a_character_that_is_split_over_two_packets_is_whole_on_the_screen(
    conversation: Conversation,
) -> None:
    first, second = "ä".encode()[:1], "ä".encode()[1:]
    assert conversation.received(b"a" + first) == ["< a"]
    assert conversation.received(second + b"b\n") == ["<+äb"]


def test_half_a_character_at_the_end_is_shown_as_bytes(conversation: Conversation) -> None:
    assert conversation.received("ä".encode()[:1]) == []
    assert conversation.peer_closed()[0] == r"< \xc3"


@given(st.lists(st.binary(max_size=20), max_size=20))
def test_whatever_comes_in_whatever_pieces_only_printable_text_is_shown(pieces: list[bytes]) -> None:
    conversation = Conversation(NcOptions(), lambda: 0.0)
    lines = [line for piece in pieces for line in conversation.received(piece)] + conversation.peer_closed()
    assert all(character.isprintable() or character == "\t" for line in lines for character in line)


def test_a_very_long_line_is_cut_and_the_rest_counted(conversation: Conversation) -> None:
    shown = [*conversation.received(b"x" * 5000), *conversation.received(b"y" * 1000 + b"\nnext\n")]
    assert shown == ["< " + "x" * MAX_LINE_CHARS, ". 1,904 more characters in this line", "< next"]


def test_a_flood_is_shown_in_part_and_the_rest_counted(clock: Clock, conversation: Conversation) -> None:
    assert len(conversation.received(b"x\n" * 1000)) == MAX_LINES_PER_S
    assert conversation.received(b"y\n") == []
    clock.now_s += 1.0
    assert conversation.received(b"z\n") == [
        ". 801 lines not shown: they came faster than 200 a second",
        "< z",
    ]


def test_what_is_no_stream_but_a_record_is_shown_whole(clock: Clock) -> None:
    assert len(Conversation(NcOptions(lines_per_s=None), clock).received(b"x\n" * 1000)) == 1000


def test_what_was_held_back_is_told_at_the_end_too(conversation: Conversation) -> None:
    conversation.received(b"x\n" * 201)
    assert conversation.peer_closed()[0].startswith(". 1 line not shown")


# -- how it ends -------------------------------------------------------------------------------------


def test_the_last_line_tells_who_closed_and_what_was_said(clock: Clock, conversation: Conversation) -> None:
    conversation.sent(b"hello\nboo\n")
    conversation.received(b"hello\nboo")
    conversation.close_half()
    clock.now_s += 1.2
    assert conversation.peer_closed() == [
        ". peer closed after 1.2s: sent 10 bytes / 2 lines, received 9 bytes / 2 lines"
    ]


def test_a_peer_that_closes_before_us_is_told_of(conversation: Conversation) -> None:
    assert conversation.peer_closed()[-1].startswith(". peer closed first after")


def test_when_we_leave_it_says_so(conversation: Conversation) -> None:
    assert conversation.left()[-1].startswith(". closed after")


# -- with a socket -----------------------------------------------------------------------------------


def heard(talk, say: bytes = b"", **options) -> list[str]:
    """The lines that a session shows in which we say something, and the peer does `talk(socket)`."""

    def main() -> list[str]:
        ours, theirs = socket_pair()
        ours.sendall(say)
        lines: list[str] = []
        listener = coloop.go(
            listen_to,
            ours,
            Conversation(NcOptions(**options), coloop.current_scheduler().clock.now),
            lines.append,
        )
        talk(theirs)
        listener.join()
        theirs.close()
        ours.close()
        return lines

    return coloop.run(main, clock=coloop.testing.MockClock())


def test_listening_ends_when_the_peer_closes() -> None:
    def talk(peer: coloop.Socket) -> None:
        peer.sendall(b"bye\n")
        peer.close()

    lines = heard(talk)
    assert lines[0] == "< bye"
    assert lines[-1].startswith(". peer closed first after")


def test_a_reset_is_told_of_in_a_line() -> None:
    with_unread_data = b"nobody reads this"
    lines = heard(lambda peer: peer.close(linger=0), say=with_unread_data)
    assert lines[-1].startswith(". connection lost (")


def test_a_silence_that_is_too_long_ends_the_session() -> None:
    lines = heard(lambda peer: None, silence_s=30.0)
    assert [line.partition(":")[0] for line in lines] == [". left, because the peer was silent, after 30s"]
