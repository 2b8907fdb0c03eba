import pytest

import coloop
from coloop._connect import connect
from coloop._server import serve
from coloop.testing import wait_until_idle

pytestmark = [pytest.mark.coroutine, pytest.mark.usefixtures("backend")]


def test_it_reaches_all_and_nobody_waits_for_the_slowest() -> None:
    with serve(":0", on_receive=lambda *_: None, high_water=1000, low_water=10) as server:
        clients = [connect(server.address) for _ in range(3)]
        wait_until_idle()
        slow = server.clients[1]
        coloop.go(slow.send, bytes(8 << 20))
        wait_until_idle()
        switches = coloop.current_scheduler().switches
        assert server.broadcast(b"news") == (2, (slow,))
        assert coloop.current_scheduler().switches == switches
        for client in (clients[0], clients[2]):
            assert client.recv() == b"news"
        for client in clients:
            client.close(linger=0)


def test_it_is_framed_for_each() -> None:
    with serve(":0", on_receive=lambda *_: None, framing="line") as server, connect(server.address) as old:
        wait_until_idle()
        server.set("framing", "length:1")
        with connect(server.address) as new:
            wait_until_idle()
            assert server.broadcast(b"news").sent == 2
            assert (old.recv(), new.recv()) == (b"news\n", b"\x04news")


def test_it_may_be_for_some_and_the_closed_are_left_out() -> None:
    with serve(":0", on_receive=lambda *_: None) as server:
        clients = [connect(server.address) for _ in range(3)]
        wait_until_idle()
        one, two, three = server.clients
        two.close()
        assert server.broadcast(b"x", among=[two, three]) == (1, (two,))
        assert server.broadcast(b"y").sent == 2
        assert (clients[0].recv(), clients[2].recv_exactly(2)) == (b"y", b"xy")
        clients[0].close(linger=0)
        coloop.yield_now()
        assert server.broadcast(b"z", among=[one, three]).skipped in {(one,), ()}
        for client in clients:
            client.close()


def test_one_that_has_gone_spoils_it_for_nobody() -> None:
    with serve(":0", on_receive=lambda *_: None) as server:
        clients = [connect(server.address) for _ in range(3)]
        wait_until_idle()
        clients[0].close(linger=0)
        assert server.broadcast(b"x" * 100).sent >= 2
        assert [client.recv_exactly(100) for client in clients[1:]] == [b"x" * 100] * 2
        for client in clients:
            client.close()


def test_what_cannot_be_sent_is_sent_to_nobody() -> None:
    with serve(":0", on_receive=lambda *_: None, framing="line") as server, connect(server.address) as client:
        wait_until_idle()
        for wrong in (b"two\nlines", "text"):
            with pytest.raises((ValueError, TypeError)):
                server.broadcast(wrong)  # type: ignore[arg-type]
        server.broadcast(b"ok")
        assert client.recv() == b"ok\n"
