import array
import copy
import errno
import hashlib
import random
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

import coloop
from coloop._connect import connect
from coloop._listener import listen
from coloop._socket import Socket
from coloop.testing import MockClock, socket_pair

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
    assert str(ours) in observer.failures.pop().message
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
    with pytest.raises(ConnectionResetError):
        ours.recv()
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


def test_close_with_time_is_false_when_the_time_is_over(mock_clock: MockClock) -> None:
    ours, theirs = tcp_pair()
    count = ours.send(bytes(LATE_BYTES))
    assert ours.close(linger=5) is False
    assert mock_clock.now() == pytest.approx(5)
    assert len(theirs.recv_exactly(count)) == count
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
