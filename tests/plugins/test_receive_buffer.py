"""The defects of the receive buffer are as the tutorial had them, and can be cured one by one."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import coloop
from coloop.testing import socket_pair
from coshell_plugins.labs import receive_buffer
from coshell_plugins.labs.receive_buffer import (
    BUFFER_BYTES,
    Stream,
    echo_until_end,
    kept,
    new_buffer,
    serve_one,
    shared_buffer,
)


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    kept.clear()


@pytest.mark.parametrize("buffer", [new_buffer, shared_buffer])
def test_a_stream_gives_what_has_come(buffer: receive_buffer.Buffer) -> None:
    def main() -> bytes:
        ours, theirs = socket_pair()
        with ours, theirs:
            theirs.sendall(b"hello")
            return Stream(ours, buffer).receive()

    assert coloop.run(main) == b"hello"


def test_after_the_end_a_stream_gives_nothing_at_once_as_often_as_one_asks() -> None:
    def main() -> tuple[list[bytes], int]:
        ours, theirs = socket_pair()
        theirs.close()
        stream = Stream(ours, shared_buffer)
        stream.receive()
        me = coloop.current()
        assert me is not None
        switches = me.switches
        received = [stream.receive() for _ in range(1000)]
        ours.close()
        return received, me.switches - switches

    assert coloop.run(main) == ([b""] * 1000, 0)


def test_a_new_buffer_is_kept_for_each_call() -> None:
    def main() -> None:
        for _ in range(10):
            new_buffer()

    coloop.run(main)
    assert [len(buffer) for buffer in kept] == [BUFFER_BYTES] * 10


def test_the_shared_buffer_is_one() -> None:
    assert shared_buffer() is shared_buffer()
    assert not kept


def test_the_loop_that_looks_ends_with_the_stream() -> None:
    def main() -> bytes:
        ours, theirs = socket_pair()
        echoing = coloop.go(echo_until_end, ours, shared_buffer)
        theirs.sendall(b"hello")
        answer = theirs.recv()
        theirs.close()
        echoing.join()
        ours.close()
        return answer

    assert coloop.run(main) == b"hello"


def test_the_loop_that_does_not_look_goes_on_until_memory_ends(heap_level: None) -> None:
    def main() -> str | None:
        listener = coloop.listen(":0")
        serving = coloop.go(serve_one, listener, new_buffer, memory_limit=1 << 20)
        coloop.connect(listener.address).close()
        serving.join()
        listener.close()
        return serving.outcome

    assert "memory limit of 1048576 bytes exhausted" in str(coloop.run(main))
    assert 10 <= len(kept) <= 20


@pytest.fixture
def heap_level() -> Iterator[None]:
    level = coloop.memory.level()
    coloop.memory.set_level("heap")
    yield
    coloop.memory.set_level(level)


def test_one_buffer_serves_many_at_a_time() -> None:
    def talk(address: Any, message: bytes) -> bytes:
        with coloop.connect(address) as client:
            client.sendall(message)
            return client.recv_exactly(len(message))

    def main() -> list[bytes]:
        handler: Callable[[coloop.Socket], None] = partial(echo_until_end, buffer=shared_buffer)
        with coloop.serve(":0", handler) as server:
            talking = [coloop.go(talk, server.address, b"%d" % i * 1000) for i in range(20)]
            return [one.result() for one in talking]

    assert coloop.run(main) == [b"%d" % i * 1000 for i in range(20)]
