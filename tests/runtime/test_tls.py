import errno
import hashlib
import io
import itertools
import random
import socket
import ssl
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import trustme

import coloop
from coloop import TlsSocket, _tls
from coloop._connect import connect
from coloop._listener import listen
from coloop._poller import READ
from coloop._server import serve
from coloop._socket import RECV_BYTES, Socket
from coloop.testing import MockClock, wait_until_idle
from tests.patience import PATIENCE_S
from tests.ports import free_port

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]

LATE_BYTES = 8 << 20  # more than the kernel's buffers hold, so that sends fall short
ALLOW_CLIENT_RENEGOTIATION = 1 << 8  # ssl.OP_..., of which the library has no name


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def certificate(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("localhost", "127.0.0.1", common_name="test server")


@pytest.fixture
def server_side(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


@pytest.fixture
def client_side(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def version(request: pytest.FixtureRequest, client_side: ssl.SSLContext) -> ssl.TLSVersion:
    """What the client insists on."""
    client_side.minimum_version = client_side.maximum_version = request.param
    return request.param


Pair = tuple[TlsSocket, TlsSocket]


@pytest.fixture
def make_pair(server_side: ssl.SSLContext, client_side: ssl.SSLContext) -> Callable[[], Pair]:
    def make() -> Pair:
        """A client and the server's end of its connection, after the handshake."""
        with listen(":0", tls=server_side) as listener:
            accepting = coloop.go(accept_and_shake_hands, listener)
            client = connect(listener.address, tls=client_side)
            assert isinstance(client, TlsSocket)
            return client, accepting.result()

    return make


def accept_and_shake_hands(listener: coloop.Listener) -> TlsSocket:
    conn = listener.accept()
    assert isinstance(conn, TlsSocket)
    conn.handshake()
    return conn


def echo(conn: Socket) -> None:
    while data := conn.recv():
        conn.sendall(data)


def close_all(*sockets: Socket) -> None:
    for sock in sockets:
        sock.close()


class Clogged:
    """A socket of the library's that takes nothing for as long as it stays in its place.

    How much more a full kernel takes when time passes is its own secret.
    """

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)

    def send(self, *_: object) -> int:
        raise BlockingIOError if self.raw.fileno() >= 0 else OSError(errno.EBADF, "closed")


def clog(conn: Any, text: bytes = b"last words") -> Clogged:
    """From now on the kernel takes nothing, beginning with a record of `text`."""
    conn._raw = Clogged(conn._raw)
    if text:
        conn._encrypt(memoryview(text))
    return conn._raw


def left_over() -> tuple[object, ...]:
    """What there is besides the test: coroutines, sockets, entries in the poller and the waiting there."""
    scheduler = coloop.current_scheduler()
    poller: Any = scheduler.poller
    others = [co.name for co in scheduler.living.values() if co is not scheduler.running]
    return (
        *others,
        *scheduler.sockets.values(),
        *poller._wires.values(),
        *([poller.waiting] * poller.waiting),
    )


# -- used as any socket --------------------------------------------------------------------------


def test_bytes_pass_both_ways(version: ssl.TLSVersion, make_pair: Callable[[], Pair]) -> None:
    ours, theirs = make_pair()
    ours.sendall(b"question")
    assert theirs.recv() == b"question"
    assert theirs.send(b"answer") == 6
    assert (ours.recv(3), ours.recv(), ours.received, theirs.sent) == (b"ans", b"wer", 6, 6)
    assert ours.tls is not None
    assert ours.tls.version == version.name.replace("_", ".")
    close_all(ours, theirs)
    assert left_over() == ()


def test_all_ways_to_read_are_there(make_pair: Callable[[], Pair]) -> None:
    ours, theirs = make_pair()
    theirs.sendall(b"one\r\ntwo\r\nthree")
    assert ours.peek(3) == b"one"
    assert ours.recv_until(b"\r\n") == b"one\r\n"
    assert ours.recv_exactly(5) == b"two\r\n"
    buffer = bytearray(8)
    assert ours.recv_into(buffer, 2) == 2
    assert ours.recv() == b"ree"
    assert (buffer[:2], ours.received) == (b"th", 15)
    theirs.close()
    assert ours.peek() == b""
    assert ours.recv_into(buffer) == 0
    with pytest.raises(coloop.Closed, match="was closed by peer"):
        ours.peek()
    ours.close()


def test_a_file_goes_through_tls_as_well(make_pair: Callable[[], Pair], tmp_path: Path) -> None:
    """The kernel would send it as it is."""
    path = tmp_path / "secret"
    path.write_bytes(random.Random(3).randbytes(300_000))
    ours, theirs = make_pair()
    with path.open("rb") as file:
        sending = coloop.go(ours.sendfile, file, 1000, 200_000)
        assert theirs.recv_exactly(200_000) == path.read_bytes()[1000:201_000]
        assert sending.result() == 200_000
        assert file.tell() == 201_000
    assert ours.sendfile(io.BytesIO(b"no descriptor")) == 13
    assert theirs.recv() == b"no descriptor"
    close_all(ours, theirs)


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, lambda data: memoryview(data).cast("H")])
def test_any_buffer_can_be_sent(make_pair: Callable[[], Pair], make: Callable[[bytes], Any]) -> None:
    ours, theirs = make_pair()
    data = make(b"abcd")
    assert ours.send(data) == 4
    ours.sendall(data)
    assert ours.send(b"") == 0
    assert theirs.recv_exactly(8) == b"abcdabcd"
    if isinstance(data, bytearray):
        data.pop()
    with pytest.raises(TypeError, match="bytes-like"):
        ours.sendall("text")  # type: ignore[arg-type]
    close_all(ours, theirs)


def test_one_reads_and_one_writes_and_a_second_is_refused(make_pair: Callable[[], Pair]) -> None:
    ours, theirs = make_pair()
    reader = coloop.go(ours.recv)
    writer = coloop.go(ours.sendall, bytes(LATE_BYTES))
    with pytest.raises(coloop.Busy, match=f"{ours} is being read by {reader}"):
        ours.recv()
    with pytest.raises(coloop.Busy, match=f"{ours} is being written to by {writer}"):
        ours.send(b"x")
    assert (reader.waiting_on, writer.waiting_on) == (f"recv {ours}", f"send {ours}")
    theirs.sendall(b"word")
    assert reader.result() == b"word"
    assert len(theirs.recv_exactly(LATE_BYTES)) == LATE_BYTES
    assert writer.join()
    with pytest.raises(coloop.WrongThread):
        coloop.to_thread(ours.recv)
    with pytest.raises(coloop.WrongThread):
        coloop.to_thread(ours.handshake)
    close_all(ours, theirs)


def test_a_close_wakes_those_who_wait(
    make_pair: Callable[[], Pair], fails: Any, mock_clock: MockClock
) -> None:
    ours, theirs = make_pair()
    waiting = [fails(ours.recv), fails(ours.sendall, bytes(LATE_BYTES))]
    ours.close()
    for waiter in waiting:
        assert str(waiter.result()) == f"{ours} was closed by co#1"
    theirs.close(linger=0)
    assert left_over() == ()


def test_after_a_timeout_nothing_is_lost(make_pair: Callable[[], Pair]) -> None:
    ours, theirs = make_pair()
    with pytest.raises(coloop.Timeout, match=rf"^recv {ours}: timed out after 0.001s$"):
        ours.recv(timeout=0.001)
    theirs.sendall(b"ab")
    with pytest.raises(coloop.Timeout):
        ours.recv_exactly(3, timeout=0.001)
    theirs.sendall(b"c")
    assert ours.recv_exactly(3, timeout=5) == b"abc"
    close_all(ours, theirs)


def test_many_connections_at_once(server_side: ssl.SSLContext, client_side: ssl.SSLContext) -> None:
    def talk(seed: int) -> bool:
        source = random.Random(seed)
        payload = source.randbytes(100_000)
        with connect(server.address, tls=client_side) as conn:
            writer = coloop.go(send_in_pieces, conn, payload, source)
            same = conn.recv_exactly(len(payload)) == payload
            writer.join()
            return same and conn.recv() == b""

    def send_in_pieces(conn: Socket, payload: bytes, source: random.Random) -> None:
        while payload:
            size = source.randrange(1, 30_000)
            conn.sendall(payload[:size])
            payload = payload[size:]
        conn.shutdown("write")

    with serve(":0", echo, tls=server_side) as server:
        talks = [coloop.go(talk, seed) for seed in range(20)]
        assert all(each.result() for each in talks)


def test_large_transfers_both_ways_hold_little(make_pair: Callable[[], Pair]) -> None:
    ours, theirs = make_pair()
    payload = random.Random(5).randbytes(10 << 20)
    held = []

    def read_slowly(conn: TlsSocket) -> str:
        digest = hashlib.sha256()
        for taken in itertools.count(1):
            data = conn.recv(10_000)
            if not data:
                return digest.hexdigest()
            digest.update(data)
            held.extend((end._owed_bytes(), end._incoming.pending) for end in (ours, theirs))
            if taken % 10 == 0:
                coloop.sleep(0.0001)
        raise AssertionError

    def write(conn: TlsSocket) -> None:
        conn.sendall(payload)
        conn.shutdown("write")

    for conn in (ours, theirs):
        coloop.go(write, conn)
    readers = [coloop.go(read_slowly, conn) for conn in (ours, theirs)]
    assert {reader.result() for reader in readers} == {hashlib.sha256(payload).hexdigest()}
    assert max(owed for owed, _ in held) <= _tls.SEND_BYTES + 1024  # what makes records of them
    assert max(pending for _, pending in held) <= RECV_BYTES
    close_all(ours, theirs)


@pytest.mark.skipif(coloop.FORM == "native", reason="no call is seen in the native core: see the next")
@pytest.mark.parametrize("backend", ["epoll"], indirect=True)
def test_an_echo_costs_two_system_calls_besides_the_poll(backend: str, make_pair: Callable[[], Pair]) -> None:
    ours, theirs = make_pair()
    rounds = 100
    calls: Counter[str] = Counter()
    coloop.go(echo, ours)

    def count(frame: Any, event: str, function: Any) -> None:
        if event == "c_call" and isinstance(getattr(function, "__self__", None), socket.socket):
            calls[function.__name__] += 1

    sys.setprofile(count)
    try:
        for _ in range(rounds):
            theirs.sendall(b"x" * 64)
            theirs.recv()
    finally:
        sys.setprofile(None)
    theirs.close()
    assert calls["send"] == 2 * rounds
    assert 2 * rounds <= calls["recv"] <= 2 * rounds + 4  # a first try each, and the session tickets


def settled(pair: Pair) -> Pair:
    """Both have read something: the session tickets come before the first answer."""
    for sender, receiver in (pair, pair[::-1]):
        sender.sendall(b"!")
        assert receiver.recv() == b"!"
    return pair


BUFFER_CALLS = {"_incoming": {"write": "fetched"}, "_outgoing": {"read": "given"}}


class Watched:
    """Something of the library's, whose calls are counted under their names, or under others."""

    def __init__(self, watched: Any, calls: Counter[str], names: dict[str, str]) -> None:
        self.watched, self.calls, self.names = watched, calls, names

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.watched, name)
        if not callable(found):
            return found

        def call(*args: Any) -> Any:
            self.calls[self.names.get(name, name)] += 1
            return found(*args)

        return call


def test_a_message_is_fetched_opened_sealed_and_given_once(make_pair: Callable[[], Pair]) -> None:
    """To ask once more would be answered by an exception, which costs as much as all of these."""
    rounds = 100
    calls: Counter[str] = Counter()
    ours, theirs = settled(make_pair())
    for name in ("_stream", "_seal", "_incoming", "_outgoing"):
        setattr(ours, name, Watched(getattr(ours, name), calls, BUFFER_CALLS.get(name, {})))
    coloop.go(echo, ours)
    for _ in range(rounds):
        theirs.sendall(b"x" * 64)
        assert theirs.recv() == b"x" * 64
    wait_until_idle()
    counted = {name: calls[name] for name in ("fetched", "read", "write", "given")}
    theirs.close()
    assert counted == dict.fromkeys(counted, rounds)


@pytest.mark.parametrize("size", [1, 64])
def test_nobody_asks_the_tls_object_in_vain(make_pair: Callable[[], Pair], size: int) -> None:
    """Also who has asked for exactly what there is."""
    ours, theirs = settled(make_pair())
    theirs.sendall(b"x" * size)
    assert ours.recv(size) == b"x" * size
    assert ours._quiet
    theirs.sendall(b"x" * (size + 1))
    assert ours.recv(size) == b"x" * size
    assert not ours._quiet
    assert ours.recv() == b"x"
    assert ours._quiet
    close_all(ours, theirs)


def records(conn: TlsSocket, *texts: bytes) -> bytes:
    """What `conn` would send, kept from its peer."""
    for text in texts:
        conn._stream.write(text)
    return bytes(conn._outgoing.read())


def arrive(conn: TlsSocket, data: bytes) -> None:
    """As if the kernel had brought `data` in one piece."""
    conn._incoming.write(data)
    conn._quiet = False


def test_all_that_is_there_is_opened_at_once(make_pair: Callable[[], Pair]) -> None:
    ours, theirs = settled(make_pair())
    payload = random.Random(19).randbytes(60_000)
    sealed = records(theirs, payload)
    assert len(sealed) > 60_000 + 4 * 20  # four records
    arrive(ours, sealed[:-1])
    assert ours.recv() == payload[:49152]
    arrive(ours, sealed[-1:])
    assert ours.recv(5000) == payload[49152:54152]
    assert ours.recv_exactly(60_000 - 54152) == payload[54152:]
    arrive(ours, records(theirs, payload, payload))
    assert ours.recv(1 << 20) == payload * 2
    arrive(ours, records(theirs, payload, payload))
    assert (len(ours.recv()), len(ours.recv(20_000)), len(ours.recv())) == (RECV_BYTES, 20_000, 34_464)
    assert ours._quiet
    assert ours.received == 60_000 * 5 + 1
    close_all(ours, theirs)


def test_an_end_behind_data_is_told_after_it(version: ssl.TLSVersion, make_pair: Callable[[], Pair]) -> None:
    ours, theirs = settled(make_pair())
    sealed = records(theirs, bytes(40_000))
    theirs._say_end()
    arrive(ours, sealed + theirs._outgoing.read())
    assert (len(ours.recv()), ours.recv()) == (40_000, b"")
    ours.sendall(b"still heard")
    assert theirs.recv() == b"still heard"
    close_all(ours, theirs)


def test_a_fault_behind_data_is_told_after_it(make_pair: Callable[[], Pair]) -> None:
    ours, theirs = settled(make_pair())
    arrive(ours, records(theirs, bytes(40_000)) + b"\x17\x03\x03\x00\x20" + bytes(32))
    assert len(ours.recv()) == 40_000
    for call in (ours.recv, lambda: ours.sendall(b"x"), lambda: ours.send(b"x"), ours.recv):
        with pytest.raises(ssl.SSLError, match="bad record mac"):
            call()
    close_all(ours, theirs)


def test_a_reset_is_told_before_what_was_not_opened(make_pair: Callable[[], Pair]) -> None:
    ours, theirs = settled(make_pair())
    sealed = records(theirs, b"unread")
    theirs.close(linger=0)
    wait_until_idle()
    with pytest.raises(ConnectionResetError):
        ours.sendall(b"x")
    arrive(ours, sealed)
    for call in (ours.recv, lambda: ours.sendall(b"x")):
        with pytest.raises(ConnectionResetError, match=f"^{ours} was reset by peer"):
            call()
    ours.close()


@pytest.mark.skipif(coloop.FORM == "pure", reason="who runs code of the runtime's is not shot at anyway")
def test_nobody_is_shot_at_while_the_tls_object_works(make_pair: Callable[[], Pair]) -> None:
    """It lets other threads run, and the shot would strike in the midst of what comes next."""
    ours, theirs = make_pair()
    scheduler = coloop.current_scheduler()
    exposed = []

    class Looking(Watched):
        def __getattr__(self, name: str) -> Any:
            exposed.append(scheduler.exposed)
            return super().__getattr__(name)

    ours._seal = Looking(ours._seal, Counter(), {})
    ours.sendall(b"x")
    assert theirs.recv() == b"x"
    theirs.sendall(b"y")
    assert ours.recv() == b"y"
    assert scheduler.exposed is coloop.current()
    if ours._seal.calls["write"]:
        assert exposed == [None] * len(exposed)
    close_all(ours, theirs)


def test_an_offer_takes_what_fits_in_records_and_what_the_kernel_did_not_take_is_owed(
    make_pair: Callable[[], Pair],
) -> None:
    ours, theirs = make_pair()
    assert ours.offer(b"first") == 5
    assert (theirs.recv(), ours.owed) == (b"first", 0)
    taken = 0
    while count := ours.offer(b"x" * 200_000):
        taken += count
    assert ours.owed > 0
    sender = coloop.go(ours.sendall, b"y")
    assert theirs.recv_exactly(taken + 1) == b"x" * taken + b"y"
    sender.join()
    assert (ours.owed, ours.sent) == (0, 5 + taken + 1)
    ours.close()
    theirs.close()


def test_nothing_is_taken_before_the_handshake(server_side: ssl.SSLContext) -> None:
    with listen(":0", tls=server_side) as listener, connect(listener.address), listener.accept() as ours:
        assert (ours.offer(b"x"), ours.owed) == (0, 0)


# -- who the peer is -----------------------------------------------------------------------------


def test_true_trusts_the_systems_authorities_and_nobody_else(
    server_side: ssl.SSLContext, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serve(":0", echo, tls=server_side) as server:
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            connect(server.address, tls=True)
        assert str(caught.value) == (
            f"tls with {server.address} failed: certificate verify failed: unable to get local issuer certificate"
        )
        assert caught.value.verify_code == 20
        authority.cert_pem.write_to_path(tmp_path / "authorities.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authorities.pem"))
        with connect(server.address, tls=True) as conn:
            conn.sendall(b"x")
            assert conn.recv() == b"x"
        assert server.last_trouble is not None
        assert server.last_trouble.endswith("the peer refuses: unknown ca")


def test_the_certificate_must_be_for_the_host(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext
) -> None:
    with serve(":0", echo, tls=server_side) as server:
        port = server.address.port
        with pytest.raises(
            ssl.SSLCertVerificationError, match=r"certificate is not valid for 'example\.org'$"
        ):
            connect(server.address, tls=client_side, server_hostname="example.org")
        connect(("localhost", port), tls=client_side).close()
        connect(server.address, tls=client_side, server_hostname="localhost").close()
    assert left_over() == ()


def test_what_was_agreed_on_can_be_read(server_side: ssl.SSLContext, client_side: ssl.SSLContext) -> None:
    server_side.set_alpn_protocols(["h2", "echo"])
    client_side.set_alpn_protocols(["echo"])
    with listen(":0", tls=server_side) as listener:
        accepting = coloop.go(listener.accept)
        connecting = coloop.go(connect, listener.address, tls=client_side, server_hostname="localhost")
        theirs = accepting.result()
        assert theirs.tls is None
        assert theirs.info().tls is None
        theirs.handshake()
        ours = connecting.result()
    assert ours.tls == coloop.TlsPicture(
        version="TLSv1.3",
        cipher="TLS_AES_256_GCM_SHA384",
        alpn="echo",
        server_name="localhost",
        peer_subject=f"organizationName=trustme v{trustme.__version__}, organizationalUnitName="
        f"{ours.tls.peer_subject.partition('organizationalUnitName=')[2]}",
    )
    assert ours.tls.peer_subject.endswith("commonName=test server")
    assert theirs.tls.alpn == "echo"
    assert theirs.tls.server_name == "localhost"
    assert theirs.tls.peer_subject is None
    assert ours.info().tls == ours.tls
    assert repr(ours) == f"<TlsSocket#{ours.id} tcp {ours.local} - {ours.peer} open>"
    plain, other = coloop.testing.socket_pair()
    assert plain.tls is None
    close_all(ours, theirs, plain, other)


def test_a_certificate_without_a_subject_is_known_by_its_names() -> None:
    certificate = {"subject": (), "subjectAltName": (("DNS", "a.example"), ("IP Address", "10.0.0.1"))}
    stream = MagicMock(getpeercert=lambda: certificate, server_hostname=None)
    assert _tls._picture_of(stream).peer_subject == "DNS:a.example, IP Address:10.0.0.1"


def test_a_server_can_be_given_another_certificate(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext, authority: trustme.CA
) -> None:
    renewed = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", common_name="renewed").configure_cert(renewed)
    with serve(":0", echo, tls=server_side) as server, connect(server.address, tls=client_side) as before:
        assert server.tls
        server.renew_tls(renewed)
        with connect(server.address, tls=client_side) as after:
            assert [one.tls.peer_subject.endswith("=renewed") for one in (before, after)] == [False, True]
        before.sendall(b"x")
        assert before.recv() == b"x"


def test_a_server_neither_begins_nor_ends_to_speak_tls(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext
) -> None:
    with serve(":0", echo, tls=server_side) as server:
        with pytest.raises(ValueError, match="is served over TLS, and that stays so"):
            server.renew_tls(None)
        with pytest.raises(ValueError, match="this one is for clients"):
            server.renew_tls(client_side)
        connect(server.address, tls=client_side).close()
    with serve(":0", echo) as server:
        assert not server.tls
        server.renew_tls(None)
        with pytest.raises(ValueError, match="is served without TLS, and that stays so"):
            server.renew_tls(server_side)


def test_a_context_that_looks_at_names_itself_still_does(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext
) -> None:
    seen = []
    server_side.sni_callback = lambda stream, name, context: seen.append(name)
    with serve(":0", echo, tls=server_side) as one, serve(":0", echo, tls=server_side) as two:
        for server in (one, two):
            connect(server.address, tls=client_side, server_hostname="localhost").close()
        assert seen == ["localhost", "localhost"]


# -- the handshake -------------------------------------------------------------------------------


def test_a_silent_client_holds_up_nobody(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext, mock_clock: MockClock, observer: Any
) -> None:
    mock_clock.autojump = False
    called = []
    with serve(
        ":0", lambda conn: (called.append(conn.peer), echo(conn)), tls=server_side, name="s"
    ) as server:
        silent = connect(server.address)
        with connect(server.address, tls=client_side) as conn:
            conn.sendall(b"served")
            assert conn.recv() == b"served"
            assert called == [conn.local]
            assert [co.waiting_on for co in coloop.snapshot().coroutines if co.name == "s/c1"] == [
                f"handshake {server.connections[0]}"
            ]
            mock_clock.advance(10)
            assert silent.recv() == b""
        assert observer.warnings == [f"s: tls handshake with {silent.local}: timed out after 10s"]
        assert server.failed == 0
        silent.close()
    assert left_over() == ()


def test_the_time_for_a_handshake_is_counted_once(server_side: ssl.SSLContext, mock_clock: MockClock) -> None:
    with listen(":0", tls=server_side) as listener, connect(listener.address), listener.accept() as conn:
        with pytest.raises(coloop.Timeout, match=rf"^recv {conn}: timed out after 3s$"):
            conn.recv(timeout=3)
        with pytest.raises(coloop.Timeout, match=r"^tls handshake with .*: timed out after 10s$"):
            conn.recv(timeout=60)
        assert mock_clock.now() == pytest.approx(10)
        with pytest.raises(coloop.Timeout, match="tls handshake"):
            conn.send(b"x")
        assert mock_clock.now() == pytest.approx(10)


def test_a_handshake_has_the_time_that_it_is_given(
    server_side: ssl.SSLContext, mock_clock: MockClock
) -> None:
    with listen(":0", tls=server_side) as listener, connect(listener.address), listener.accept() as conn:
        assert isinstance(conn, TlsSocket)
        with pytest.raises(coloop.Timeout, match=r"^tls handshake with .*: timed out after 60s$"):
            conn.handshake(60)
        assert mock_clock.now() == pytest.approx(60)


@pytest.mark.parametrize("allowed_s", [7, 60])
def test_a_handshake_has_that_time_also_after_another_attempt(
    server_side: ssl.SSLContext, mock_clock: MockClock, allowed_s: int
) -> None:
    with listen(":0", tls=server_side) as listener, connect(listener.address), listener.accept() as conn:
        with pytest.raises(coloop.Timeout, match=r"^recv .*: timed out after 3s$"):
            conn.recv(timeout=3)
        for attempt in (lambda: conn.handshake(allowed_s), conn.recv):
            with pytest.raises(
                coloop.Timeout, match=rf"^tls handshake with .*: timed out after {allowed_s}s$"
            ):
                attempt()
            assert mock_clock.now() == pytest.approx(allowed_s)
        with pytest.raises(ValueError, match="timeout must be finite and not negative, not -1"):
            conn.handshake(-1)


def test_reader_and_writer_share_the_handshake(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext
) -> None:
    with listen(":0", tls=server_side) as listener:
        connecting = coloop.go(connect, listener.address, tls=client_side)
        theirs = listener.accept()
        reader = coloop.go(theirs.recv)
        writer = coloop.go(theirs.sendall, b"from the writer")
        ours = connecting.result()
        ours.sendall(b"to the reader")
        assert ours.recv() == b"from the writer"
        assert reader.result() == b"to the reader"
        assert writer.join()
        close_all(ours, theirs)


@pytest.mark.parametrize("gone", [0, 1], ids=["first", "second"])
def test_who_is_cancelled_in_a_handshake_leaves_it_to_the_other(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext, gone: int
) -> None:
    with listen(":0", tls=server_side) as listener:
        raw = socket.create_connection((listener.address.host, listener.address.port))
        theirs = listener.accept()
        both = [coloop.go(theirs.recv), coloop.go(theirs.sendall, b"hello")]
        wait_until_idle()
        both[gone].cancel()

        def talk() -> bytes:
            with client_side.wrap_socket(raw, server_hostname="localhost") as peer:
                peer.sendall(b"hello")
                return b"hello" if gone else peer.recv(100)

        assert coloop.to_thread(talk) == b"hello"
        both[1 - gone].join()
        assert [co.state for co in both] == (["cancelled", "done"] if gone == 0 else ["done", "cancelled"])
        theirs.close()


@pytest.mark.parametrize("end", ["cancel", "kill", "timeout"])
def test_a_connect_that_is_stopped_in_its_handshake_leaves_nothing(
    client_side: ssl.SSLContext, mock_clock: MockClock, end: str, fails: Any
) -> None:
    with listen(":0") as silent:
        connecting = fails(lambda: connect(silent.address, tls=client_side, timeout=5))
        accepted = silent.accept()
        wait_until_idle()
        assert connecting.waiting_on.startswith("handshake socket#")
        if end == "cancel":
            connecting.cancel()
        elif end == "kill":
            assert coloop.current_scheduler().kill(connecting) == "ended"
        else:
            assert str(connecting.result()) == f"connect {silent.address}: timed out after 5s"
        connecting.join()
        accepted.close()
    assert left_over() == ()


def test_a_server_that_stops_ends_handshakes(server_side: ssl.SSLContext) -> None:
    with serve(":0", echo, tls=server_side) as server, connect(server.address) as silent:
        wait_until_idle()
        assert len(server.connections) == 1
        assert server.stop() is False
        assert silent.recv() == b""
    assert left_over() == ()


def test_who_is_one_too_many_is_turned_away_without_a_handshake(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext, observer: Any
) -> None:
    """A handshake takes the client's time, and the server accepts nobody meanwhile."""
    with (
        serve(":0", echo, tls=server_side, max_connections=1) as server,
        connect(server.address, tls=client_side),
        connect(server.address) as second,
    ):
        assert second.recv() == b""
        assert server.rejected == 1
        assert len(observer.warnings) == 1


# -- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize("words", [b"220 mail.example.org ESMTP\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_server_that_does_not_speak_tls_is_told(client_side: ssl.SSLContext, words: bytes) -> None:
    with serve(":0", lambda conn: (conn.sendall(words), conn.recv())) as server:
        with pytest.raises(ssl.SSLError) as caught:
            connect(server.address, tls=client_side)
        assert str(caught.value) == f"tls with {server.address} failed: the peer does not speak TLS"
        assert caught.value.reason == "WRONG_VERSION_NUMBER"
    assert left_over() == ()


def test_a_server_that_hangs_up_is_told(client_side: ssl.SSLContext) -> None:
    with serve(":0", lambda conn: conn.recv(1)) as server:
        with pytest.raises(ConnectionError) as caught:
            connect(server.address, tls=client_side)
        assert str(server.address) in str(caught.value)


@pytest.mark.parametrize("words", [b"GET / HTTP/1.1\r\n\r\n", b"hello, is anybody there?\n"])
def test_a_client_that_does_not_speak_tls_is_told(
    server_side: ssl.SSLContext, observer: Any, words: bytes
) -> None:
    with serve(":0", echo, tls=server_side, name="s") as server, connect(server.address) as client:
        client.sendall(words)
        wait_until_idle()
        assert observer.warnings == [f"s: tls with {client.local} failed: the peer does not speak TLS"]
        assert (server.failed, server.connections) == (0, ())


def test_a_client_that_just_leaves_disturbs_nobody(server_side: ssl.SSLContext, observer: Any) -> None:
    with serve(":0", echo, tls=server_side, name="s") as server:
        connect(server.address).close()
        connect(server.address).close(linger=0)
        wait_until_idle()
        outcomes = [str(dead.outcome) for dead in coloop.snapshot().dead if dead.name.startswith("s/")]
        assert "the peer left in the midst of the handshake" in outcomes[0]
        assert "was reset by peer" in outcomes[1]
        assert (observer.warnings, server.failed) == ([], 0)


def test_versions_that_do_not_meet_are_told(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext, observer: Any
) -> None:
    server_side.minimum_version = ssl.TLSVersion.TLSv1_3
    client_side.maximum_version = ssl.TLSVersion.TLSv1_2
    with serve(":0", echo, tls=server_side, name="s") as server:
        with pytest.raises(ssl.SSLError, match=r"failed: the peer refuses: protocol version$"):
            connect(server.address, tls=client_side)
        wait_until_idle()
        assert observer.warnings[0].endswith("failed: unsupported protocol")


def test_a_fault_is_told_to_whoever_asks_again(server_side: ssl.SSLContext) -> None:
    with listen(":0", tls=server_side) as listener, connect(listener.address) as client:
        client.sendall(b"no tls at all\n")
        conn = listener.accept()
        for call in (conn.recv, lambda: conn.send(b"x"), conn.recv):
            with pytest.raises(ssl.SSLError, match="the peer does not speak TLS") as caught:
                call()
            assert caught.value.reason == "WRONG_VERSION_NUMBER"
        assert conn.state == "broken"
        conn.close()
        assert conn.state == "closed"


def test_garbage_in_the_midst_of_the_stream_is_an_error(make_pair: Callable[[], Pair]) -> None:
    ours, theirs = make_pair()
    theirs.sendall(b"good")
    theirs._raw.send(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert ours.recv() == b"good"
    with pytest.raises(ssl.SSLError, match=f"^tls with {ours.peer} failed: "):
        ours.recv()
    with pytest.raises(ssl.SSLError, match=r"the peer refuses: bad record mac$"):
        theirs.recv()
    close_all(ours, theirs)


# -- ends ----------------------------------------------------------------------------------------


def test_an_end_is_given_once(version: ssl.TLSVersion, make_pair: Callable[[], Pair]) -> None:
    ours, theirs = make_pair()
    theirs.sendall(b"last words")
    theirs.close()
    assert (ours.recv(), ours.recv()) == (b"last words", b"")
    for _ in range(2):
        with pytest.raises(coloop.Closed, match=rf"^{ours} was closed by peer"):
            ours.recv()
    assert ours.state == "closed by peer"
    ours.close()


def test_an_end_that_only_tcp_tells_of_is_an_error(
    version: ssl.TLSVersion, make_pair: Callable[[], Pair]
) -> None:
    ours, theirs = make_pair()
    theirs.sendall(b"the first half")
    theirs.abandon()
    assert ours.recv() == b"the first half"
    for read in (ours.recv, ours.peek, lambda: ours.recv_exactly(1)):
        with pytest.raises(
            ConnectionAbortedError, match=rf"^{ours} was cut off {ours.peer}: the stream ended"
        ) as caught:
            read()
        assert caught.value.errno == errno.ECONNABORTED
    assert ours.peer_gone
    ours.close()


def test_a_fault_that_the_reader_meets_ends_the_writer_too(
    make_pair: Callable[[], Pair], fails: Any, mock_clock: MockClock
) -> None:
    ours, theirs = make_pair()
    writer = fails(ours.sendall, bytes(LATE_BYTES))
    wait_until_idle()
    theirs._raw.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionAbortedError):
        ours.recv()
    assert isinstance(writer.result(), ConnectionAbortedError)
    clog(ours, b"")
    ours.close()
    assert mock_clock.now() == 0  # there is nothing more to be said
    theirs.close(linger=0)


def test_a_client_that_cuts_the_stream_off_is_no_failure_of_the_handler(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext
) -> None:
    with serve(":0", echo, tls=server_side) as server:
        client = connect(server.address, tls=client_side)
        client.sendall(b"x")
        assert client.recv() == b"x"
        client.abandon()
        wait_until_idle()
        assert (server.failed, server.connections) == (0, ())


def test_a_reset_is_told_as_one(make_pair: Callable[[], Pair]) -> None:
    ours, theirs = make_pair()
    theirs.close(linger=0)
    for _ in range(2):
        with pytest.raises(ConnectionResetError, match=f"^{ours} was reset by peer"):
            ours.recv()
    assert ours.state == "reset"
    ours.close()


def test_half_close_loses_nothing_that_is_on_its_way(
    version: ssl.TLSVersion, make_pair: Callable[[], Pair]
) -> None:
    """The library's way to say the end drops what it finds unread."""
    ours, theirs = make_pair()
    payload = random.Random(9).randbytes(50_000)
    theirs.sendall(payload)
    assert ours.recv(100) == payload[:100]
    ours.shutdown("write")
    ours.shutdown("write")
    assert ours.state == "half-closed"
    assert theirs.recv() == b""
    theirs.sendall(b"answer")
    theirs.close()
    assert ours.recv_exactly(len(payload) - 100 + 6) == payload[100:] + b"answer"
    assert ours.recv() == b""
    with pytest.raises(coloop.Closed, match="its sending side was shut down by co#1"):
        ours.send(b"x")
    ours.close()


def test_a_shutdown_ends_the_waits_of_its_direction(make_pair: Callable[[], Pair], fails: Any) -> None:
    ours, theirs = make_pair()
    reader = coloop.go(ours.recv)
    sender = fails(ours.sendall, bytes(LATE_BYTES))
    wait_until_idle()
    ours.shutdown("read")
    assert reader.result() == b""
    with pytest.raises(coloop.Closed, match="was shut down by co#1"):
        ours.recv()
    shutting = coloop.go(ours.shutdown, "both")
    assert shutting.waiting_on == f"shutdown {ours}"
    taken = 0
    while data := theirs.recv():
        taken += len(data)
    assert taken == ours.sent < LATE_BYTES
    assert isinstance(sender.result(), coloop.Closed)
    assert shutting.join()
    with pytest.raises(ValueError, match="how must be"):
        ours.shutdown("sideways")  # type: ignore[arg-type]
    close_all(ours, theirs)


def test_both_directions_end_although_something_is_unread(make_pair: Callable[[], Pair]) -> None:
    ours, theirs = make_pair()
    theirs.sendall(bytes(20_000))
    ours.recv(100)
    ours.shutdown("both")
    assert ours.state == "ended"
    assert theirs.recv() == b""
    close_all(ours, theirs)


def test_who_waits_behind_another_to_send_hears_of_a_shutdown(
    make_pair: Callable[[], Pair], fails: Any
) -> None:
    ours, theirs = make_pair()
    with pytest.raises(coloop.Timeout):
        ours.sendall(bytes(LATE_BYTES), timeout=0.01)
    second = fails(ours.send, b"too late")
    shutting = coloop.go(ours.shutdown, "write")
    assert len(theirs.recv_exactly(ours.sent)) == ours.sent
    assert theirs.recv() == b""
    assert shutting.join()
    assert (
        str(second.result()) == f"{ours} cannot send any more: its sending side was shut down by {shutting}"
    )
    close_all(ours, theirs)


def test_a_shutdown_before_the_handshake_makes_it(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext
) -> None:
    with listen(":0", tls=server_side) as listener:
        connecting = coloop.go(connect, listener.address, tls=client_side)
        with listener.accept() as conn:
            conn.shutdown("write")
            with connecting.result() as client:
                assert client.recv() == b""


# -- what an interrupted writer leaves -----------------------------------------------------------


def test_what_a_writer_left_unsent_goes_out_with_the_next_call(make_pair: Callable[[], Pair]) -> None:
    ours, theirs = make_pair()
    payload = random.Random(11).randbytes(LATE_BYTES)
    with pytest.raises(coloop.Timeout, match=rf"^send {ours}: timed out after 0.01s$"):
        ours.sendall(payload, timeout=0.01)
    assert ours._owed_bytes() > 0
    kept = ours.sent
    sending = coloop.go(ours.sendall, b" and the next")
    assert theirs.recv_exactly(kept + 13) == payload[:kept] + b" and the next"
    assert sending.join()
    assert ours._owed_bytes() == 0
    close_all(ours, theirs)


@pytest.mark.parametrize("limit", [_tls.MAX_OWED_BYTES, 0], ids=["reads on", "owes too much"])
def test_a_reader_gives_what_a_writer_left(
    make_pair: Callable[[], Pair], monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(_tls, "MAX_OWED_BYTES", limit)
    ours, theirs = make_pair()
    writer = coloop.go(ours.sendall, bytes(LATE_BYTES))
    wait_until_idle()
    writer.cancel()
    writer.join()
    reader = coloop.go(ours.recv, len(b"before"))
    if limit == 0:
        theirs.sendall(b"before")
        wait_until_idle()
        assert reader.state == "waiting"
    assert len(theirs.recv_exactly(ours.sent)) == ours.sent
    theirs.sendall(b"after")
    assert reader.result() == (b"after" if limit else b"before")
    close_all(ours, theirs)


@pytest.mark.parametrize("size", [700, 40_000])
@pytest.mark.parametrize("end", ["cancel", "kill", "timeout"])
def test_who_is_stopped_while_the_kernel_is_full_leaves_whole_records(
    make_pair: Callable[[], Pair], end: str, size: int
) -> None:
    """Sends of a size that goes the usual way, one after another, until one of them has to wait."""
    ours, theirs = make_pair()
    scheduler = coloop.current_scheduler()

    def pour() -> None:
        while True:
            ours.sendall(bytes([size % 251]) * size)

    for _ in range(2):
        writer = coloop.go(pour)
        wait_until_idle()
        assert writer.waiting_on == f"send {ours}"
        if end == "cancel":
            writer.cancel()
        elif end == "kill":
            assert scheduler.kill(writer) == "ended"
        else:
            scheduler.interrupt(writer, coloop.Timeout("the time is over"))
        writer.join()
        assert ours._writer is None
    kept = ours.sent
    assert kept % size == 0
    assert ours._owed_bytes() > 0
    sending = coloop.go(ours.sendall, b" and the next")
    assert theirs.recv_exactly(kept) == bytes([size % 251]) * kept
    assert theirs.recv_exactly(13) == b" and the next"
    assert sending.join()
    assert ours._owed_bytes() == 0
    theirs.sendall(b"answer")
    assert ours.recv() == b"answer"
    close_all(ours, theirs)
    assert left_over() == ()


@pytest.mark.parametrize("end", ["cancel", "kill", "timeout"])
def test_who_is_stopped_in_a_read_takes_nothing_along(make_pair: Callable[[], Pair], end: str) -> None:
    ours, theirs = settled(make_pair())
    sealed = records(theirs, b"one record in two pieces")
    theirs._raw.send(sealed[:7])
    stopped = coloop.go(ours.recv)
    wait_until_idle()
    assert stopped.waiting_on == f"recv {ours}"
    if end == "cancel":
        stopped.cancel()
    elif end == "kill":
        assert coloop.current_scheduler().kill(stopped) == "ended"
    else:
        coloop.current_scheduler().interrupt(stopped, coloop.Timeout("the time is over"))
    stopped.join()
    assert ours._reader is None
    reader = coloop.go(ours.recv)
    theirs._raw.send(sealed[7:])
    assert reader.result() == b"one record in two pieces"
    close_all(ours, theirs)
    assert left_over() == ()


def test_two_that_were_stopped_in_a_send_can_still_read(make_pair: Callable[[], Pair]) -> None:
    """Both kernels are full: if readers insisted on giving first what they owe, nobody would ever read."""
    ours, theirs = make_pair()
    for conn in (ours, theirs):
        with pytest.raises(coloop.Timeout):
            conn.sendall(bytes(LATE_BYTES), timeout=0.01)
    assert len(ours.recv_exactly(100_000)) == 100_000
    close_all(ours)
    theirs.abandon()


def test_last_words_are_read_although_nothing_can_be_given_any_more(make_pair: Callable[[], Pair]) -> None:
    ours, theirs = make_pair()
    with pytest.raises(coloop.Timeout):
        ours.sendall(bytes(LATE_BYTES), timeout=0.01)
    theirs.sendall(b"last words")
    theirs.shutdown("write")
    theirs._raw.shutdown(socket.SHUT_WR)
    theirs.abandon()  # over unread data: the kernel resets
    wait_until_idle()
    ours._outgoing.write(b"an answer to it")
    assert ours.recv() == b"last words"
    assert ours._owed_bytes() == 0
    ours.close()


def test_who_was_woken_leaves_the_place_to_who_came_next(make_pair: Callable[[], Pair]) -> None:
    """Between the kernel's word and its turn, another may have begun to wait for the same direction."""
    ours, theirs = make_pair()
    scheduler = coloop.current_scheduler()
    wait_until_idle()
    first = coloop.go(ours._wait_for, READ, "first")
    theirs.sendall(b"x")
    for waiter in scheduler.poller.poll(1):
        scheduler.wake(waiter)
    second = coloop.go(ours._wait_for, READ, "second")
    assert first.join()
    theirs.sendall(b"y")
    assert second.join()  # it would wait for ever
    close_all(ours, theirs)


@pytest.mark.parametrize("end", ["data", "cancel"])
def test_who_waits_behind_a_reader_looks_again_when_it_has_gone(
    make_pair: Callable[[], Pair], end: str
) -> None:
    """As one does who writes and must read for it; the reader waits in the usual way."""
    ours, theirs = settled(make_pair())
    reader = coloop.go(ours.recv)
    wait_until_idle()
    second = coloop.go(ours._wait_for, READ, "second")
    assert second.waiting_on == f"second {ours}"
    if end == "data":
        theirs.sendall(b"x")
        assert reader.result() == b"x"
    else:
        reader.cancel()
        reader.join()
    assert second.join()
    third = coloop.go(ours._wait_for, READ, "third")
    reader = coloop.go(ours.recv)
    wait_until_idle()
    theirs.sendall(b"y")
    assert third.join()
    assert reader.result() == b"y"
    close_all(ours, theirs)
    assert left_over() == ()


def test_a_reader_who_was_woken_leaves_the_place_to_who_came_next(make_pair: Callable[[], Pair]) -> None:
    ours, theirs = settled(make_pair())
    scheduler = coloop.current_scheduler()
    reader = coloop.go(ours.recv)
    wait_until_idle()
    theirs.sendall(b"x")
    for waiter in scheduler.poller.poll(1):
        scheduler.wake(waiter)
    second = coloop.go(ours._wait_for, READ, "second")
    assert reader.result() == b"x"
    theirs.sendall(b"y")
    assert second.join()  # it would wait for ever
    assert ours.recv() == b"y"
    close_all(ours, theirs)


def test_a_writer_comes_while_a_reader_waits_for_room(make_pair: Callable[[], Pair]) -> None:
    """Both wait for the same direction; the reader goes away."""
    ours, theirs = make_pair()
    first = coloop.go(ours.sendall, bytes(LATE_BYTES))
    wait_until_idle()
    first.cancel()
    first.join()
    reader = coloop.go(ours.recv)
    writer = coloop.go(ours.sendall, b"next")
    wait_until_idle()
    assert (reader.waiting_on, writer.waiting_on) == (f"recv {ours}", f"send {ours}")
    kept = ours.sent
    reader.cancel()
    assert theirs.recv_exactly(kept + 4).endswith(b"next")
    assert writer.join()
    close_all(ours, theirs)
    assert left_over() == ()


# -- closing -------------------------------------------------------------------------------------


def test_a_close_says_the_end_to_a_late_reader_too(make_pair: Callable[[], Pair]) -> None:
    """The kernel has no room for it at first."""
    ours, theirs = make_pair()
    kernel = clog(ours)
    closing = coloop.go(ours.close)
    assert (closing.waiting_on, ours.state) == (f"close {ours}", "closing")
    ours._raw = kernel.raw
    assert (theirs.recv(), theirs.recv()) == (b"last words", b"")
    assert closing.result() is None
    theirs.close()
    assert left_over() == ()


def test_a_close_gives_up_on_a_peer_that_does_not_read(
    make_pair: Callable[[], Pair], mock_clock: MockClock
) -> None:
    ours, theirs = make_pair()
    ours.sendall(b"these came through")
    clog(ours)
    assert ours.close() is None
    assert mock_clock.now() == pytest.approx(10)
    assert theirs.recv() == b"these came through"
    with pytest.raises(ConnectionAbortedError):
        theirs.recv()
    theirs.close()


def test_close_with_time(make_pair: Callable[[], Pair]) -> None:
    ours, theirs = make_pair()
    ours.sendall(b"x" * 100_000)
    assert ours.close(linger=30) is True
    assert len(theirs.recv_exactly(100_000)) == 100_000
    assert theirs.recv() == b""
    theirs.close()


def test_close_with_time_is_false_when_the_time_is_over(
    make_pair: Callable[[], Pair], mock_clock: MockClock
) -> None:
    ours, theirs = make_pair()
    clog(ours)
    assert ours.close(linger=5) is False
    assert mock_clock.now() == pytest.approx(5)
    theirs.close()


def test_a_cancelled_close_is_a_close(make_pair: Callable[[], Pair]) -> None:
    ours, theirs = make_pair()
    clog(ours)
    closing = coloop.go(ours.close)
    closing.cancel()
    closing.join()
    assert (closing.state, ours.fileno()) == ("cancelled", -1)
    theirs.close()
    assert left_over() == ()


def test_a_server_that_stops_waits_for_nobodys_goodbye(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext, mock_clock: MockClock
) -> None:
    def handler(conn: Socket) -> None:
        clog(conn)
        coloop.suspend()

    with serve(":0", handler, tls=server_side) as server, connect(server.address, tls=client_side):
        wait_until_idle()
        assert len(server.connections) == 1
        assert server.stop() is False
        assert mock_clock.now() == pytest.approx(1)
        coloop.sleep(0.1)  # the longest nap
        assert server.connections == ()
    assert left_over() == ()


def test_a_timer_can_close(make_pair: Callable[[], Pair]) -> None:
    """It is in no coroutine, and cannot wait."""
    ours, theirs = make_pair()
    clog(ours)
    coloop.current_scheduler().call_later(0, ours.close)
    coloop.sleep(0.001)
    assert ours.state == "closed"
    theirs.close()


def test_close_before_the_handshake_says_nothing(server_side: ssl.SSLContext) -> None:
    with listen(":0", tls=server_side) as listener, connect(listener.address) as client:
        listener.accept().close()
        assert client.recv() == b""


# -- misuse --------------------------------------------------------------------------------------


def test_what_makes_no_sense_is_refused_before_anything_is_opened(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext
) -> None:
    for error, text, call in (
        (ValueError, "server_hostname is for tls", lambda: connect(":1", server_hostname="a")),
        (ValueError, "server_hostname is for tls", lambda: connect(":1", tls=False, server_hostname="a")),
        (TypeError, "tls must be True or an ssl.SSLContext, not 1", lambda: connect(":1", tls=1)),
        (
            ValueError,
            "a context for clients, this one is for servers",
            lambda: connect(":1", tls=server_side),
        ),
        (
            ValueError,
            "tls is for streams, udp:.* is for datagrams",
            lambda: connect("udp:127.0.0.1:1", tls=True),
        ),
        (ValueError, "unix:/x has no host name", lambda: connect("unix:/x", tls=True)),
        (
            TypeError,
            "tls must be an ssl.SSLContext with a certificate, not True",
            lambda: listen(":0", tls=True),
        ),
        (ValueError, "a context for servers, this one is for clients", lambda: listen(":0", tls=client_side)),
    ):
        with pytest.raises(error, match=text):
            call()
    with listen(":0") as listener, pytest.raises(ValueError, match="give tls to listen"):
        serve(listener, echo, tls=server_side)
    assert left_over() == ()


def test_unix_sockets_can_have_it_too(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext, tmp_path: Path
) -> None:
    address = f"unix:{tmp_path / 's'}"
    with (
        serve(address, echo, tls=server_side),
        connect(address, tls=client_side, server_hostname="localhost") as conn,
    ):
        conn.sendall(b"x" * 100_000)
        assert len(conn.recv_exactly(100_000)) == 100_000


# -- real peers ----------------------------------------------------------------------------------


def test_the_librarys_own_client(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext, version: Any
) -> None:
    payload = random.Random(13).randbytes(1 << 20)

    def talk() -> bytes:
        with (
            socket.create_connection((server.address.host, server.address.port)) as raw,
            client_side.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False) as peer,
        ):
            got = bytearray()
            for place in range(0, len(payload), 50_000):
                peer.sendall(payload[place : place + 50_000])
                got += read_exactly(peer, min(50_000, len(payload) - place))
            peer.unwrap().close()
            return bytes(got)

    with serve(":0", echo, tls=server_side) as server:
        assert coloop.to_thread(talk) == payload


def read_exactly(peer: ssl.SSLSocket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        got += peer.recv(size - len(got))
    return got


def test_the_librarys_own_server(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext, version: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as raw:

        def answer() -> bytes:
            accepted, _ = raw.accept()
            with server_side.wrap_socket(accepted, server_side=True, suppress_ragged_eofs=False) as peer:
                question = bytearray()
                while data := peer.recv(65536):
                    question += data
                peer.sendall(question[::-1])
                peer.unwrap().close()
            return bytes(question)

        answering = coloop.go(coloop.to_thread, answer)
        payload = random.Random(17).randbytes(1 << 20)
        with connect(raw.getsockname(), tls=client_side) as conn:
            conn.sendall(payload)
            conn.shutdown("write")
            assert conn.recv_exactly(len(payload)) == payload[::-1]
            assert conn.recv() == b""
        assert answering.result() == payload


@pytest.fixture
def pem(certificate: trustme.LeafCert, authority: trustme.CA, tmp_path: Path) -> dict[str, Path]:
    """Files for other programs."""
    paths = {name: tmp_path / f"{name}.pem" for name in ("chain", "key", "authority")}
    certificate.cert_chain_pems[0].write_to_path(paths["chain"])
    certificate.private_key_pem.write_to_path(paths["key"])
    authority.cert_pem.write_to_path(paths["authority"])
    return paths


CLIENTS = {
    "openssl": lambda host, port, ca: (
        *("s_client", "-quiet", "-connect", f"{host}:{port}", "-CAfile", ca, "-verify_return_error"),
        *("-verify_ip", host, "-no_ign_eof"),
    ),
    "ncat": lambda host, port, ca: (
        "--ssl-verify",
        "--ssl-trustfile",
        ca,
        "--ssl-servername",
        "localhost",
        host,
        port,
    ),
    "socat": lambda host, port, ca: ("-", f"OPENSSL:{host}:{port},cafile={ca},commonname=localhost"),
}


@pytest.mark.parametrize("program", CLIENTS)
def test_other_clients_are_served(
    program: str, server_side: ssl.SSLContext, pem: dict[str, Path], start_peer: Any
) -> None:
    def greet(conn: Socket) -> None:
        conn.sendall(b"you said " + conn.recv_until(b"\n"))

    with serve(":0", greet, tls=server_side) as server:
        address = server.address
        peer = start_peer(program, *CLIENTS[program](address.host, address.port, pem["authority"]))
        peer.stdin.write(b"hello\n")
        peer.stdin.flush()
        assert coloop.to_thread(peer.stdout.readline) == b"you said hello\n"
        coloop.to_thread(peer.stdin.close)
        coloop.to_thread(peer.wait)
        peer.stdin = None


def start_server(program: str, port: int, pem: dict[str, Path], start_peer: Any) -> Any:
    chain, key = pem["chain"], pem["key"]
    commands = {
        "openssl": ("s_server", "-accept", port, "-cert", chain, "-key", key, "-rev", "-naccept", 1),
        "ncat": (
            "-l",
            "--ssl",
            "--ssl-cert",
            chain,
            "--ssl-key",
            key,
            "127.0.0.1",
            port,
            "--exec",
            "/bin/cat",
        ),
        "socat": (f"OPENSSL-LISTEN:{port},bind=127.0.0.1,cert={chain},key={key},verify=0", "EXEC:cat"),
    }
    return start_peer(program, *commands[program])


@pytest.mark.parametrize("program", ["openssl", "ncat", "socat"])
def test_other_servers_are_understood(
    program: str, client_side: ssl.SSLContext, pem: dict[str, Path], start_peer: Any
) -> None:
    with connect_to_server(program, pem, client_side, start_peer) as conn:
        conn.sendall(b"level\n")
        assert conn.recv_until(b"\n") == b"level\n"


def connect_to_server(program: str, pem: dict[str, Path], context: ssl.SSLContext, start_peer: Any) -> Socket:
    """A port that was free a moment ago may be another's by now: then the server ends, and gets a new one."""
    while True:
        port = free_port()
        server = start_server(program, port, pem, start_peer)
        while server.poll() is None:
            with suppress(ConnectionRefusedError):
                return connect(f"127.0.0.1:{port}", tls=context)
            coloop.sleep(0.01)


# What the other side of OpenSSL's own client is told to do, and what it says of that.
changes_of_keys = pytest.mark.parametrize(
    ("option", "command", "said"),
    [
        ("-tls1_3", b"K", b"KEYUPDATE\n"),
        ("-tls1_3", b"k", b"KEYUPDATE\n"),
        ("-tls1_2", b"R", b"RENEGOTIATING\n"),
    ],
)


@changes_of_keys
def test_keys_may_change_on_the_way(
    option: str,
    command: bytes,
    said: bytes,
    server_side: ssl.SSLContext,
    pem: dict[str, Path],
    start_peer: Any,
) -> None:
    """Reading makes us write, while another writes; OpenSSL itself cannot take data while it renegotiates."""
    server_side.options |= ALLOW_CLIENT_RENEGOTIATION
    with listen(":0", tls=server_side) as listener:
        where = f"127.0.0.1:{listener.address.port}"
        peer = start_peer("openssl", "s_client", option, "-connect", where, "-CAfile", pem["authority"])
        with listener.accept() as conn:
            conn.handshake()
            pouring = coloop.go(conn.sendall, b"" if command == b"R" else bytes(LATE_BYTES))
            draining = coloop.go(coloop.to_thread, peer.stdout.read)
            try:
                for number in range(3):
                    send_line(peer, command)
                    asking = coloop.go(conn.recv_until, b"\n", timeout=PATIENCE_S)
                    while coloop.to_thread(peer.stderr.readline) != said:
                        pass
                    send_line(peer, b"line %d" % number)
                    assert asking.result() == b"line %d\n" % number
                assert pouring.join(PATIENCE_S)
            finally:
                peer.kill()
            draining.join()


@changes_of_keys
def test_an_echo_goes_on_while_keys_change(
    option: str,
    command: bytes,
    said: bytes,
    server_side: ssl.SSLContext,
    pem: dict[str, Path],
    start_peer: Any,
) -> None:
    server_side.options |= ALLOW_CLIENT_RENEGOTIATION
    with serve(":0", echo, tls=server_side) as server:
        where = f"127.0.0.1:{server.address.port}"
        peer = start_peer(
            "openssl", "s_client", option, "-brief", "-connect", where, "-CAfile", pem["authority"]
        )
        try:
            for number in range(3):
                for part in range(3):
                    send_line(peer, b"line %d.%d" % (number, part))
                    answer = coloop.go(coloop.to_thread, peer.stdout.readline)
                    assert answer.result(PATIENCE_S) == b"line %d.%d\n" % (number, part)
                send_line(peer, command)
                while coloop.to_thread(peer.stderr.readline) != said:
                    pass
        finally:
            peer.kill()


def send_line(peer: Any, text: bytes) -> None:
    peer.stdin.write(text + b"\n")
    peer.stdin.flush()
