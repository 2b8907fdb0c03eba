import array
import copy
import errno
import gzip
import hashlib
import io
import os
import random
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import coloop
from coloop._connect import connect
from coloop._listener import listen
from coloop._socket import RECV_BYTES, SENDFILE_BYTES, Socket
from coloop.testing import MockClock, socket_pair, wait_until_idle

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]

LATE_BYTES = 8 << 20  # more than the kernel's buffers hold, so that sends fall short


def tcp_pair() -> tuple[Socket, Socket]:
    """A client and the server's end of its connection."""
    with listen(":0") as listener:
        client = connect(listener.address)
        return client, listener.accept()


@pytest.fixture(params=[socket_pair, tcp_pair], ids=["unix", "tcp"])
def make_pair(request: pytest.FixtureRequest) -> Any:
    return request.param


def close_all(*sockets: Socket) -> None:
    for sock in sockets:
        sock.close()


# -- receiving -----------------------------------------------------------------------------------


def test_recv_gives_what_has_come_and_no_more_than_asked(make_pair: Any) -> None:
    ours, theirs = make_pair()
    theirs.sendall(b"abcdef")
    assert ours.recv(4) == b"abcd"
    assert ours.recv() == b"ef"
    assert ours.received == 6
    assert theirs.sent == 6
    close_all(ours, theirs)


def test_recv_parks_until_something_comes(make_pair: Any) -> None:
    ours, theirs = make_pair()
    for word in (b"one", b"two", b"three"):
        reader = coloop.go(ours.recv)
        assert reader.state == "waiting"
        theirs.sendall(word)
        assert reader.result() == word
    close_all(ours, theirs)


def test_the_end_of_the_stream_is_given_once(make_pair: Any) -> None:
    ours, theirs = make_pair()
    theirs.sendall(b"last words")
    theirs.close()
    assert ours.recv() == b"last words"
    assert ours.recv() == b""
    for _ in range(2):
        with pytest.raises(coloop.Closed, match=rf"^{ours} was closed by peer"):
            ours.recv()
    assert ours.state == "closed by peer"
    ours.close()


def test_a_loop_that_takes_the_end_for_data_ends(observer: Any) -> None:
    ours, theirs = tcp_pair()

    def seeds_loop() -> None:
        while True:
            ours.sendall(ours.recv())

    loop = coloop.go(seeds_loop)
    theirs.sendall(b"x")
    assert theirs.recv() == b"x"
    theirs.close()
    coloop.testing.wait_until_idle()
    assert loop.state == "failed"
    failure = observer.failures.pop()
    assert (failure.id, failure.name) == (loop.id, "seeds_loop")
    assert failure.message.startswith(f"{ours} was closed by peer {ours.peer}")
    assert "ours.sendall(ours.recv())" in failure.traceback
    ours.close()


def test_the_end_of_the_stream_lets_others_run(make_pair: Any) -> None:
    ours, theirs = make_pair()
    theirs.close()
    order: list[str] = []
    coloop.go(lambda: (coloop.yield_now(), order.append("other")))
    ours.recv()
    order.append("end")
    assert order == ["other", "end"]
    ours.close()


def test_a_read_of_nothing_is_refused(make_pair: Any) -> None:
    """Its `b""` would look like the end of the stream."""
    ours, theirs = make_pair()
    for n in (0, -1):
        with pytest.raises(ValueError, match=f"n must be 1 or more bytes, not {n}"):
            ours.recv(n)
    close_all(ours, theirs)


def test_after_a_timeout_nothing_is_lost(make_pair: Any) -> None:
    ours, theirs = make_pair()
    with pytest.raises(coloop.Timeout):
        ours.recv(timeout=0.001)
    theirs.sendall(b"late")
    assert ours.recv(timeout=0) == b"late"
    close_all(ours, theirs)


def test_data_that_is_there_beats_a_deadline_that_has_passed(mock_clock: MockClock) -> None:
    mock_clock.autojump = False
    ours, theirs = socket_pair()
    reader = coloop.go(ours.recv, timeout=5)
    theirs.sendall(b"in time")
    mock_clock.advance(6)
    assert reader.result() == b"in time"
    close_all(ours, theirs)


def test_last_words_before_a_hang_up_are_read_piece_by_piece(make_pair: Any) -> None:
    ours, theirs = make_pair()
    reader = coloop.go(ours.recv, 3)
    theirs.sendall(b"abcdefgh")
    theirs.shutdown("write")
    assert reader.result() == b"abc"
    assert [ours.recv(3), ours.recv(3), ours.recv(3)] == [b"def", b"gh", b""]
    close_all(ours, theirs)


def test_an_urgent_byte_stays_in_its_place() -> None:
    """A read stops short of it, which must not be taken for "drained"."""
    with (
        listen(":0") as listener,
        socket.create_connection((listener.address.host, listener.address.port)) as peer,
    ):
        ours = listener.accept()
        reader = coloop.go(ours.recv_exactly, 5)
        peer.send(b"ab")
        peer.send(b"!", socket.MSG_OOB)
        peer.send(b"cd")
        assert reader.result() == b"ab!cd"
        ours.close()


def test_a_passed_descriptor_does_not_stop_the_stream() -> None:
    """A read stops at it as well."""
    raw, other = socket.socketpair()
    ours = coloop._socket.adopt_socket(other)  # type: ignore[attr-defined]
    socket.send_fds(raw, [b"ab"], [0])
    raw.send(b"cd")
    assert ours.recv_exactly(4) == b"abcd"
    raw.close()
    ours.close()


# -- receiving into a buffer, and looking ahead ----------------------------------------------------


def test_recv_into_fills_the_front_of_a_buffer(make_pair: Any) -> None:
    ours, theirs = make_pair()
    buffer = bytearray(b"........")
    theirs.sendall(b"abcdef")
    assert ours.recv_into(buffer, 4) == 4
    assert buffer == b"abcd...."
    reader = coloop.go(ours.recv_into, memoryview(buffer)[4:])
    assert reader.result() == 2
    assert buffer == b"abcdef.."
    assert ours.received == 6
    theirs.close()
    assert ours.recv_into(buffer) == 0
    with pytest.raises(coloop.Closed, match="was closed by peer"):
        ours.recv_into(buffer)
    assert buffer == b"abcdef.."
    ours.close()


def test_recv_into_parks_and_loses_nothing_when_interrupted(make_pair: Any) -> None:
    ours, theirs = make_pair()
    buffer = array.array("H", [0, 0])
    with pytest.raises(coloop.Timeout, match=rf"^recv {ours}: timed out after 0.001s$"):
        ours.recv_into(buffer, timeout=0.001)
    reader = coloop.go(ours.recv_into, buffer)
    assert reader.waiting_on == f"recv {ours}"
    with pytest.raises(BufferError):
        buffer.append(0)
    reader.cancel()
    reader.join()
    buffer.append(0)
    theirs.sendall(b"abcd")
    assert ours.recv_into(buffer, timeout=0) == 4
    assert buffer.tobytes() == b"abcd\0\0"
    close_all(ours, theirs)


def test_recv_into_takes_first_what_recv_exactly_had_read(make_pair: Any) -> None:
    ours, theirs = make_pair()
    theirs.sendall(b"abc")
    with pytest.raises(coloop.Timeout):
        ours.recv_exactly(4, timeout=0.001)
    buffer = bytearray(2)
    assert ours.peek() == b"abc"
    assert (ours.recv_into(buffer), bytes(buffer)) == (2, b"ab")
    assert (ours.recv_into(buffer), bytes(buffer)) == (1, b"cb")
    close_all(ours, theirs)


@pytest.mark.parametrize(
    ("buffer", "n", "complaint"),
    [
        (bytearray(), None, "no room"),
        (bytearray(4), 5, "n must be 1 to 4 bytes, the size of the buffer, not 5"),
        (bytearray(4), 0, "n must be 1 to 4 bytes, the size of the buffer, not 0"),
        (bytearray(4), -1, "not -1"),
        (b"constant", None, "a buffer that can be written to is needed, not bytes"),
        ("text", None, "bytes-like"),
    ],
)
def test_a_buffer_that_cannot_be_filled_is_refused(buffer: Any, n: Any, complaint: str) -> None:
    ours, theirs = socket_pair()
    theirs.sendall(b"x")
    with pytest.raises((ValueError, TypeError), match=complaint):
        ours.recv_into(buffer, n)
    assert ours.recv() == b"x"
    close_all(ours, theirs)


def test_peek_leaves_what_it_shows(make_pair: Any) -> None:
    ours, theirs = make_pair()
    looker = coloop.go(ours.peek, 2)
    assert looker.waiting_on == f"recv {ours}"
    theirs.sendall(b"abcd")
    assert looker.result() == b"ab"
    assert ours.peek() == b"abcd"
    assert ours.received == 0
    assert ours.info().unread == 4
    assert ours.recv() == b"abcd"
    with pytest.raises(coloop.Timeout):
        ours.peek(timeout=0.001)
    with pytest.raises(ValueError, match="n must be 1 or more bytes, not 0"):
        ours.peek(0)
    close_all(ours, theirs)


def test_peek_shows_the_end_and_recv_still_gives_it(make_pair: Any) -> None:
    ours, theirs = make_pair()
    theirs.close()
    assert [ours.peek(), ours.peek(), ours.recv()] == [b"", b"", b""]
    with pytest.raises(coloop.Closed):
        ours.peek()
    ours.close()


def test_looking_again_and_again_lets_others_run(make_pair: Any) -> None:
    ours, theirs = make_pair()
    theirs.close()
    others: list[str] = []
    coloop.go(lambda: (coloop.yield_now(), others.append("ran")))
    assert ours.peek() == b""
    assert others == ["ran"]
    ours.close()


def test_peek_meets_a_reset() -> None:
    ours, theirs = tcp_pair()
    theirs.close(linger=0)
    with pytest.raises(ConnectionResetError):
        ours.peek()
    ours.close()


def test_on_a_stream_everything_comes_from_the_peer_and_goes_there() -> None:
    ours, theirs = tcp_pair()
    theirs.sendall(b"abc")
    assert ours.recvfrom(2) == (b"ab", theirs.local)
    with pytest.raises(OSError, match=rf"^{ours} is a stream to its peer: use send\(data\)$") as caught:
        ours.sendto(b"x", ":9")
    assert caught.value.errno == errno.EISCONN
    close_all(ours, theirs)
    left, right = socket_pair()
    right.sendall(b"x")
    assert left.recvfrom() == (b"x", coloop.Address(path=""))
    close_all(left, right)


# -- receiving by measure ------------------------------------------------------------------------


def test_recv_exactly_waits_for_all_of_it(make_pair: Any) -> None:
    ours, theirs = make_pair()
    reader = coloop.go(ours.recv_exactly, 6)
    for piece in (b"ab", b"cd", b"efgh"):
        theirs.sendall(piece)
        coloop.testing.wait_until_idle()
    assert reader.result() == b"abcdef"
    assert ours.recv() == b"gh"
    assert ours.recv_exactly(0) == b""
    close_all(ours, theirs)


def test_recv_until_keeps_what_comes_after(make_pair: Any) -> None:
    ours, theirs = make_pair()
    reader = coloop.go(ours.recv_until, b"\r\n")
    for piece in (b"one\r", b"\ntwo\r\nthr"):
        theirs.sendall(piece)
        coloop.testing.wait_until_idle()
    assert reader.result() == b"one\r\n"
    assert ours.recv_until(b"\r\n") == b"two\r\n"
    assert ours.info().unread == 3
    assert ours.recv(2) == b"th"
    assert ours.recv(2) == b"r"
    close_all(ours, theirs)


def test_recv_until_gives_up_at_its_limit(make_pair: Any) -> None:
    ours, theirs = make_pair()
    theirs.sendall(b"12345\n")
    with pytest.raises(ValueError, match=r"no b'\\n' within 5 bytes"):
        ours.recv_until(b"\n", limit=5)
    assert ours.recv_until(b"\n", limit=6) == b"12345\n"
    with pytest.raises(ValueError, match="delimiter must not be empty"):
        ours.recv_until(b"")
    with pytest.raises(ValueError, match="n must be 0 or more bytes, not -1"):
        ours.recv_exactly(-1)
    close_all(ours, theirs)


def test_what_was_read_before_an_interruption_is_left_for_recv(make_pair: Any) -> None:
    ours, theirs = make_pair()
    theirs.sendall(b"ab")
    with pytest.raises(coloop.Timeout):
        ours.recv_exactly(4, timeout=0.001)
    theirs.sendall(b"c")
    with pytest.raises(coloop.Timeout):
        ours.recv_until(b"\n", timeout=0.001)
    theirs.close()
    with pytest.raises(coloop.Closed, match=r"was closed by peer.* after 3 of 4 bytes"):
        ours.recv_exactly(4)
    assert ours.recv() == b"abc"
    with pytest.raises(coloop.Closed, match="was closed by peer"):
        ours.recv_until(b"\n")
    ours.close()


# -- sending -------------------------------------------------------------------------------------


def test_sendall_serves_a_late_reader_to_the_last_byte(make_pair: Any) -> None:
    ours, theirs = make_pair()
    payload = random.Random(1).randbytes(LATE_BYTES)
    sender = coloop.go(ours.sendall, payload)
    coloop.testing.wait_until_idle()
    assert sender.waiting_on == f"send {ours}"
    digest = hashlib.sha256(theirs.recv_exactly(LATE_BYTES)).hexdigest()
    assert digest == hashlib.sha256(payload).hexdigest()
    assert sender.join()
    assert ours.sent == theirs.received == LATE_BYTES
    close_all(ours, theirs)


def test_send_tells_how_much_it_gave(make_pair: Any) -> None:
    ours, theirs = make_pair()
    count = ours.send(bytes(LATE_BYTES))
    assert 0 < count < LATE_BYTES
    assert len(theirs.recv_exactly(count)) == count
    assert ours.send(b"") == 0
    close_all(ours, theirs)


@pytest.mark.parametrize("data", [bytearray(b"abcd"), memoryview(b"abcd"), array.array("H", b"abcd")])
def test_sendall_takes_any_buffer_and_lets_go_of_it(data: Any) -> None:
    data = copy.copy(data) if not isinstance(data, memoryview) else data
    ours, theirs = socket_pair()
    ours.sendall(data)
    ours.sendall(b"")
    assert theirs.recv() == b"abcd"
    if not isinstance(data, memoryview):
        data.pop()
    with pytest.raises(TypeError, match="bytes-like"):
        ours.sendall("text")  # type: ignore[arg-type]
    close_all(ours, theirs)


def test_sending_within_a_time(make_pair: Any) -> None:
    ours, theirs = make_pair()
    with pytest.raises(coloop.Timeout, match=rf"^send {ours}: timed out after 0.01s$"):
        ours.sendall(bytes(LATE_BYTES), timeout=0.01)
    assert len(theirs.recv_exactly(ours.sent)) == ours.sent
    close_all(ours, theirs)


def test_bytes_are_the_same_for_all_of_many_at_once() -> None:
    def echo(conn: Socket) -> None:
        while data := conn.recv():
            conn.sendall(data)

    def talk(seed: int) -> bool:
        source = random.Random(seed)
        payload = source.randbytes(200_000)
        with connect(server.address) as conn:
            writer = coloop.go(send_in_pieces, conn, payload, source)
            same = (
                hashlib.sha256(conn.recv_exactly(len(payload))).digest() == hashlib.sha256(payload).digest()
            )
            writer.join()
            return same and conn.recv() == b""

    def send_in_pieces(conn: Socket, payload: bytes, source: random.Random) -> None:
        while payload:
            size = source.randrange(1, 20_000)
            conn.sendall(payload[:size])
            payload = payload[size:]
        conn.shutdown("write")

    with coloop._server.serve(":0", echo) as server:  # type: ignore[attr-defined]
        talks = [coloop.go(talk, seed) for seed in range(50)]
        assert all(talk.result() for talk in talks)


@pytest.mark.skipif(coloop.FORM == "native", reason="no call is seen in the native core: see test_wire.py")
@pytest.mark.parametrize("backend", ["epoll"], indirect=True)
def test_an_echo_costs_two_system_calls_besides_the_poll(backend: str) -> None:
    ours, theirs = tcp_pair()
    rounds = 100
    calls: Counter[str] = Counter()

    def echo() -> None:
        while data := ours.recv():
            ours.sendall(data)

    echoing = coloop.go(echo)

    def count(frame: Any, event: str, function: Any) -> None:
        if event == "c_call" and isinstance(getattr(function, "__self__", None), socket.socket):
            calls[function.__name__] += 1

    sys.setprofile(count)
    threading.setprofile(None)
    try:
        for _ in range(rounds):
            theirs.sendall(b"x" * 64)
            theirs.recv()
    finally:
        sys.setprofile(None)
    assert calls["send"] == 2 * rounds
    assert 2 * rounds <= calls["recv"] <= 2 * rounds + 2  # a first try each
    theirs.close()
    echoing.join()
    ours.close()


# -- offering ------------------------------------------------------------------------------------


def test_an_offer_gives_the_kernel_what_it_takes_at_once_and_never_waits(make_pair: Any) -> None:
    ours, theirs = make_pair()
    scheduler = coloop.current_scheduler()
    switches, taken = scheduler.switches, 0
    assert ours.offer(b"") == 0
    while count := ours.offer(b"x" * 10_000):
        taken += count
    assert scheduler.switches == switches
    assert ours.sent == taken > 10_000
    assert ours.offer(b"x") == 0
    waiting = coloop.go(ours.sendall, b"again")  # whoever waits is told of room, by each kind of poller
    theirs.recv_exactly(taken + 5)
    waiting.join()
    assert ours.offer(b"at once") == 7
    assert theirs.recv() == b"at once"
    ours.close()
    theirs.close()


def test_an_offer_does_not_get_into_what_another_writes(make_pair: Any) -> None:
    ours, theirs = make_pair()
    writer = coloop.go(ours.sendall, b"x" * LATE_BYTES)
    assert ours.offer(b"y") == 0
    assert theirs.recv_exactly(LATE_BYTES) == b"x" * LATE_BYTES
    writer.join()
    assert ours.offer(b"y") == 1
    assert theirs.recv() == b"y"
    ours.close()
    theirs.close()


def test_an_offer_to_nobody_is_refused_as_a_send_is(make_pair: Any) -> None:
    ours, theirs = make_pair()
    ours.shutdown()
    with pytest.raises(coloop.Closed, match="cannot send any more"):
        ours.offer(b"x")
    ours.close()
    with pytest.raises(coloop.Closed, match="was closed by"):
        ours.offer(b"x")
    theirs.close()
    ours, theirs = tcp_pair()
    theirs.close(linger=0)
    wait_until_idle()
    with pytest.raises(ConnectionError):
        ours.offer(b"x")
    ours.close()


def test_an_offer_is_for_its_own_thread(make_pair: Any) -> None:
    ours, theirs = make_pair()
    with pytest.raises(coloop.WrongThread):
        coloop.to_thread(ours.offer, b"x")
    assert ours.sent == ours.owed == 0
    ours.close()
    theirs.close()


# -- sending files -------------------------------------------------------------------------------


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    """What is in `tmp_path / "file"`."""
    data = random.Random(2).randbytes(LATE_BYTES)
    (tmp_path / "file").write_bytes(data)
    return data


class OnlyRead:
    """As little of a file as can be sent."""

    def __init__(self, content: bytes) -> None:
        self.read = io.BytesIO(content).read


@pytest.fixture(params=["kernel", "read", "no seek"])
def sendable(request: pytest.FixtureRequest, tmp_path: Path, content: bytes) -> Iterator[Any]:
    """The content as a file with a descriptor, as a buffer in memory, or as something that can only be read."""
    if request.param == "kernel":
        with (tmp_path / "file").open("rb") as file:
            yield file
    else:
        yield io.BytesIO(content) if request.param == "read" else OnlyRead(content)


def drain(sock: Socket) -> Any:
    """A coroutine whose result is all that comes until the end."""

    def read() -> bytes:
        pieces = []
        while piece := sock.recv():
            pieces.append(piece)
        return b"".join(pieces)

    return coloop.go(read)


def test_a_file_is_sent_whole(make_pair: Any, sendable: Any, content: bytes) -> None:
    ours, theirs = make_pair()
    reader = drain(theirs)
    assert ours.sendfile(sendable) == len(content)
    assert ours.sent == len(content)
    ours.close()
    assert reader.result() == content
    theirs.close()


def test_the_kernel_sends_a_plain_file(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else of it is ever in our memory."""
    monkeypatch.setattr(Socket, "_read_and_send", None)
    ours, theirs = tcp_pair()
    for buffering in (-1, 0):
        with (tmp_path / "file").open("rb", buffering) as file:
            assert ours.sendfile(file, 5, 10) == 10
    ours.close()
    assert theirs.recv_exactly(20) == 2 * content[5:15]
    theirs.close()


def test_a_part_of_a_file_is_sent(make_pair: Any, tmp_path: Path, content: bytes) -> None:
    for file in (io.BytesIO(content), (tmp_path / "file").open("rb"), (tmp_path / "file").open("rb", 0)):
        ours, theirs = make_pair()
        file.read(7)  # where it stands does not matter
        assert ours.sendfile(file, 5, 10) == 10
        assert file.tell() == 15
        assert ours.sendfile(file, len(content) - 3, 10) == 3
        assert file.tell() == len(content)
        assert ours.sendfile(file, len(content) + 5) == 0
        assert ours.sendfile(file, 0, 0) == 0
        ours.close()
        assert theirs.recv_exactly(13) == content[5:15] + content[-3:]
        assert theirs.recv() == b""
        theirs.close()
        file.close()


def test_a_file_that_is_not_taken_in_time_tells_how_far_it_got(
    make_pair: Any, tmp_path: Path, content: bytes
) -> None:
    for file in (io.BytesIO(content), (tmp_path / "file").open("rb")):
        ours, theirs = make_pair()
        with pytest.raises(coloop.Timeout, match=rf"^send {ours}: timed out after 0.01s$"):
            ours.sendfile(file, timeout=0.01)
        assert 0 < ours.sent == file.tell() < len(content)
        done = ours.sent
        reader = drain(theirs)
        ours.sendfile(file, done)
        ours.close()
        assert reader.result() == content
        theirs.close()
        file.close()


def test_a_cancelled_sendfile_tells_how_far_it_got(tmp_path: Path, content: bytes) -> None:
    ours, theirs = tcp_pair()
    with (tmp_path / "file").open("rb") as file:
        sender = coloop.go(ours.sendfile, file)
        coloop.testing.wait_until_idle()
        assert sender.waiting_on == f"send {ours}"
        sender.cancel()
        sender.join()
        assert ours.sent == file.tell()
        assert theirs.recv_exactly(ours.sent) == content[: ours.sent]
    close_all(ours, theirs)


def test_a_peer_that_leaves_ends_sendfile(tmp_path: Path, content: bytes, fails: Any) -> None:
    ours, theirs = tcp_pair()
    with (tmp_path / "file").open("rb") as file:
        sender = fails(ours.sendfile, file)
        theirs.close(linger=0)
        assert isinstance(sender.result(), ConnectionError)
        assert ours.sent == file.tell() < len(content)
    ours.close()


def test_a_socket_that_is_closed_between_two_pieces_sends_no_more(tmp_path: Path, content: bytes) -> None:
    """Its number may be somebody else's by then."""

    class ClosesWhileItReads(io.BytesIO):
        def read(self, n: int | None = -1) -> bytes:
            ours.close()
            return super().read(n)

    ours, theirs = tcp_pair()
    with pytest.raises(coloop.Closed):
        ours.sendfile(ClosesWhileItReads(b"x"))
    theirs.close()


class Bottomless(socket.socket):
    """It always has room."""

    def send(self, data: Any, flags: int = 0) -> int:
        return len(data)


def test_while_a_file_is_sent_others_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though there is never anything to wait for."""
    monkeypatch.setattr(
        "os.sendfile", lambda _, file, offset, count: min(count, os.fstat(file).st_size - offset)
    )
    ours = Socket(Bottomless(socket.AF_INET), "client")
    seen: list[int] = []

    def look() -> None:
        while True:
            seen.append(ours.sent)
            coloop.yield_now()

    looking = coloop.go(look)
    with (tmp_path / "sparse").open("w+b") as file:
        file.truncate(100 * SENDFILE_BYTES)
        ours.sendfile(file)
        assert any(0 < sent < 100 * SENDFILE_BYTES for sent in seen)
        done = ours.sent
        seen.clear()
        ours.sendfile(io.BytesIO(bytes(100 * RECV_BYTES)))
        assert any(done < sent < ours.sent for sent in seen)
    looking.cancel()
    ours.close()


def test_what_was_written_to_a_file_and_not_flushed_is_sent_too(tmp_path: Path) -> None:
    ours, theirs = socket_pair()
    with (tmp_path / "new").open("w+b") as file:
        file.write(b"not on the disk yet")
        assert ours.sendfile(file) == 19
    assert theirs.recv() == b"not on the disk yet"
    close_all(ours, theirs)


def test_a_descriptor_of_something_else_is_not_what_the_file_holds(tmp_path: Path) -> None:
    """The kernel would send the compressed bytes."""
    ours, theirs = socket_pair()
    with gzip.open(tmp_path / "x.gz", "wb") as packed:
        packed.write(b"plain")
    with gzip.open(tmp_path / "x.gz", "rb") as packed:
        assert packed.fileno() >= 0
        assert ours.sendfile(packed, 1) == 4
    assert theirs.recv() == b"lain"
    close_all(ours, theirs)


def test_where_the_kernel_cannot_send_it_is_read(make_pair: Any) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"through a pipe")
    os.close(writing)
    ours, theirs = make_pair()
    with os.fdopen(reading, "rb") as file:
        assert ours.sendfile(file) == 14
    assert theirs.recv_exactly(14) == b"through a pipe"
    close_all(ours, theirs)


def test_what_cannot_be_sent_as_a_file_is_refused(tmp_path: Path, content: bytes) -> None:
    ours, theirs = socket_pair()
    with pytest.raises(ValueError, match="offset must be 0 or more bytes, not -1"):
        ours.sendfile(io.BytesIO(), -1)
    with pytest.raises(ValueError, match="count must be 0 or more bytes, not -1"):
        ours.sendfile(io.BytesIO(), 0, -1)
    with (tmp_path / "text").open("w+", encoding="utf-8") as text:
        text.write("text")
        with pytest.raises(
            ValueError, match=r"must be open in binary mode to be sent, not <_io\.TextIOWrapper"
        ):
            ours.sendfile(text)
    with (tmp_path / "new").open("wb") as unread, pytest.raises(ValueError, match="must be open to be read"):
        ours.sendfile(unread)
    with pytest.raises(AttributeError, match="read"):
        ours.sendfile("name of a file")
    closed = (tmp_path / "file").open("rb")
    closed.close()
    with pytest.raises(ValueError, match="closed file"):
        ours.sendfile(closed)
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb") as file, pytest.raises(ValueError, match=r"offset 3: .* cannot seek"):
        ours.sendfile(file, 3)
    assert ours.sent == 0
    close_all(ours, theirs)


# -- resets --------------------------------------------------------------------------------------


def test_a_reset_ends_the_reader_and_nobody_else(fails: Any) -> None:
    ours, theirs = tcp_pair()
    other_ours, other_theirs = tcp_pair()
    reader = fails(ours.recv)
    bystander = coloop.go(other_ours.recv)
    theirs.close(linger=0)
    assert isinstance(reader.result(), ConnectionResetError)
    assert str(reader.result()) == f"{ours} was reset by peer {ours.peer}"
    assert bystander.state == "waiting"
    other_theirs.sendall(b"fine")
    assert bystander.result() == b"fine"
    assert ours.state == "reset"
    close_all(ours, other_ours, other_theirs)


def test_a_reset_ends_the_sender(fails: Any) -> None:
    ours, theirs = tcp_pair()
    sender = fails(ours.sendall, bytes(LATE_BYTES))
    coloop.testing.wait_until_idle()
    assert sender.waiting_on == f"send {ours}"
    theirs.close(linger=0)
    assert isinstance(sender.result(), ConnectionResetError)
    assert sender.result().errno == errno.ECONNRESET
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            ours.send(b"x")
    ours.close()


def test_a_reset_ends_reader_and_sender_alike(fails: Any) -> None:
    """The kernel tells only one of them."""
    ours, theirs = tcp_pair()
    sender = fails(ours.sendall, bytes(LATE_BYTES))
    reader = fails(ours.recv)
    theirs.close(linger=0)
    assert isinstance(sender.result(), ConnectionResetError)
    assert isinstance(reader.result(), ConnectionResetError)
    ours.close()


def test_a_reset_that_the_sender_met_is_no_clean_end_to_the_reader(fails: Any) -> None:
    """It is what the kernel shows."""
    ours, theirs = tcp_pair()
    sender = fails(ours.sendall, bytes(LATE_BYTES))
    theirs.close(linger=0)
    assert isinstance(sender.result(), ConnectionResetError)
    for read in (ours.peek, ours.recv):
        with pytest.raises(ConnectionResetError):
            read()
    ours.close()


def test_sending_to_one_who_has_left_breaks_the_pipe() -> None:
    ours, theirs = socket_pair()
    theirs.close()
    with pytest.raises(BrokenPipeError, match="was closed by peer: nobody receives any more"):
        ours.sendall(b"x")
    with pytest.raises(coloop.Closed, match="its sending side was closed by peer"):
        ours.sendall(b"x")
    assert ours.peer_gone
    ours.close()


# -- ending --------------------------------------------------------------------------------------


def test_half_a_connection_still_carries_the_answer(make_pair: Any) -> None:
    ours, theirs = make_pair()
    payload = bytes(300_000)
    theirs.sendall(b"question")
    theirs.shutdown("write")
    assert theirs.state == "half-closed"
    assert ours.recv() == b"question"
    assert ours.recv() == b""
    answer = coloop.go(ours.sendall, payload)
    assert theirs.recv_exactly(len(payload)) == payload
    assert answer.join()
    ours.close()
    assert theirs.recv() == b""
    assert theirs.state == "ended"
    theirs.close()


def test_a_direction_may_be_shut_down_twice_and_after_the_peer_has_gone() -> None:
    left, right = socket_pair()
    with left:
        left.shutdown("write")
        left.shutdown("write")
        right.sendall(b"answer")
        right.close()
        left.shutdown("both")
        assert left.state == "ended"
        with pytest.raises(coloop.Closed, match="shut down by co#1"):
            left.recv()


def test_after_a_shutdown_the_direction_is_closed_by_name(make_pair: Any) -> None:
    ours, theirs = make_pair()
    ours.shutdown("both")
    with pytest.raises(coloop.Closed, match="its sending side was shut down by co#1"):
        ours.send(b"x")
    with pytest.raises(coloop.Closed, match="was shut down by co#1: there is nothing more to receive"):
        ours.recv()
    with pytest.raises(ValueError, match="how must be 'read', 'write' or 'both', not 'sideways'"):
        ours.shutdown("sideways")  # type: ignore[arg-type]
    theirs.close()
    ours.shutdown("write")
    ours.close()
    with pytest.raises(coloop.Closed):
        ours.shutdown()


def test_a_shutdown_ends_the_waits_of_its_direction(make_pair: Any, fails: Any) -> None:
    ours, theirs = make_pair()
    sender = fails(ours.sendall, bytes(LATE_BYTES))
    reader = coloop.go(ours.recv)
    ours.shutdown("both")
    assert isinstance(sender.result(), coloop.Closed)
    assert reader.result() == b""
    close_all(ours, theirs)


def test_close_lets_the_kernel_send_the_rest(make_pair: Any) -> None:
    ours, theirs = make_pair()
    count = ours.send(bytes(LATE_BYTES))
    assert ours.close() is None
    assert len(theirs.recv_exactly(count)) == count
    assert theirs.recv() == b""
    theirs.close()


def test_close_over_unread_data_does_not_take_the_answer_back() -> None:
    """The kernel would reset the connection."""
    ours, theirs = tcp_pair()
    theirs.sendall(b"question and more than anybody reads")
    assert ours.recv(8) == b"question"
    ours.sendall(b"answer")
    ours.close()
    theirs.sendall(b"even more")
    assert theirs.recv() == b"answer"
    with suppress(ConnectionError):
        theirs.recv()
    theirs.close()


def test_close_with_no_time_resets_the_connection() -> None:
    ours, theirs = tcp_pair()
    ours.sendall(b"lost")
    assert ours.close(linger=0) is None
    with pytest.raises(ConnectionResetError):
        theirs.recv_exactly(5)
    theirs.close()


def test_close_with_time_is_true_when_all_was_acknowledged() -> None:
    ours, theirs = tcp_pair()
    ours.sendall(b"x" * 100_000)
    theirs.sendall(b"never read")
    assert ours.close(linger=30) is True
    assert len(theirs.recv_exactly(100_000)) == 100_000
    assert theirs.recv() == b""
    theirs.close()


def test_close_with_time_waits_for_a_late_reader_and_stops_nobody_else() -> None:
    ours, theirs = tcp_pair()
    count = ours.send(bytes(LATE_BYTES))
    closing = coloop.go(ours.close, linger=30)
    assert closing.waiting_on == f"close {ours}"
    assert ours.info().state == "closing"
    assert len(theirs.recv_exactly(count)) == count
    assert closing.result() is True
    assert ours.state == "closed"
    theirs.close()


def test_close_with_time_that_runs_out_is_false_and_drops_the_rest(mock_clock: MockClock) -> None:
    ours, theirs = tcp_pair()
    count = ours.send(bytes(LATE_BYTES))
    assert ours.close(linger=5) is False
    assert mock_clock.now() == pytest.approx(5)
    with pytest.raises(ConnectionResetError):
        theirs.recv_exactly(count)
    theirs.close()


def test_a_close_with_time_that_is_interrupted_leaves_the_rest_to_the_kernel() -> None:
    ours, theirs = tcp_pair()
    count = ours.send(bytes(LATE_BYTES))
    closing = coloop.go(ours.close, linger=3600)
    closing.cancel()
    closing.join()
    assert len(theirs.recv_exactly(count)) == count
    assert theirs.recv() == b""
    theirs.close()


def test_close_with_time_notices_a_reset_at_once(mock_clock: MockClock) -> None:
    mock_clock.autojump = False
    ours, theirs = tcp_pair()
    ours.send(bytes(LATE_BYTES))
    theirs.close(linger=0)
    assert ours.close(linger=3600) is False


def test_a_cancelled_close_is_a_close() -> None:
    ours, theirs = tcp_pair()
    ours.send(bytes(LATE_BYTES))
    closing = coloop.go(ours.close, linger=3600)
    closing.cancel()
    closing.join()
    assert closing.state == "cancelled"
    assert ours.fileno() == -1
    theirs.close()


@pytest.mark.parametrize("linger", [-1, float("nan"), float("inf"), "1"])
def test_a_close_with_no_sensible_time_closes_nothing(linger: Any) -> None:
    ours, theirs = socket_pair()
    with pytest.raises((ValueError, TypeError), match="linger"):
        ours.close(linger=linger)
    assert ours.state == "open"
    close_all(ours, theirs)


def test_a_block_closes_its_socket() -> None:
    ours, theirs = socket_pair()
    with ours, theirs:
        pass
    assert ours.state == theirs.state == "closed"
    assert ours.close(linger=3) is None


# -- looking -------------------------------------------------------------------------------------


@pytest.fixture
def linux() -> Iterator[None]:
    if sys.platform != "linux":
        pytest.skip("only Linux tells states and queues")
    return iter(())


def test_a_picture_shows_both_sides_of_the_truth(linux: None) -> None:
    ours, theirs = tcp_pair()
    theirs.sendall(b"12345")
    reader = coloop.go(theirs.recv)
    coloop.testing.wait_until_idle()
    picture = ours.info()
    assert (picture.id, picture.fd, picture.owner) == (ours.id, ours.fileno(), 1)
    assert (picture.kind, picture.role, theirs.info().role) == ("tcp", "client", "server")
    assert (picture.state, picture.kernel) == ("open", "ESTABLISHED")
    assert (picture.local, picture.peer) == (theirs.info().peer, theirs.info().local)
    assert (picture.unread, picture.received, theirs.info().sent) == (5, 0, 5)
    assert theirs.info().reader == reader.id
    assert theirs.info().writer is None
    ours.close()
    assert reader.result() == b""
    assert theirs.info().kernel == "CLOSE_WAIT"
    theirs.close()
    assert theirs.info().fd == -1
    assert theirs.info().unread is None


def test_what_the_peer_has_not_taken_is_shown(linux: None) -> None:
    ours, theirs = tcp_pair()
    sender = coloop.go(ours.sendall, bytes(LATE_BYTES))
    coloop.testing.wait_until_idle()
    picture = ours.info()
    assert picture.writer == sender.id
    assert picture.unsent is not None
    assert 0 < picture.unsent < picture.sent
    sender.cancel()
    close_all(ours, theirs)


def test_its_repr_tells_where_it_leads() -> None:
    ours, theirs = tcp_pair()
    assert repr(ours) == f"<Socket#{ours.id} tcp {ours.local} - {theirs.local} open>"
    close_all(ours, theirs)
    left, right = socket_pair()
    assert repr(left) == f"<Socket#{left.id} unix unix: open>"
    close_all(left, right)
