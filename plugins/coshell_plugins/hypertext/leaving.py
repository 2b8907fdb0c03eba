"""A client that leaves in the midst of an answer is only noticed by whoever reads, and the app only writes.

An answer that is streamed may wait for hours for something to tell, for nobody. So while one is under way
another coroutine looks at the connection. Where its end comes, the client counts as gone, also if it meant that
it has no more to ask and would still listen: no client of the web does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import coloop
from coloop import Closed, Coroutine, Socket


@contextmanager
def cancelled_when_left(connection: Socket) -> Iterator[None]:
    """In this block the running coroutine is cancelled when the client leaves.

    Nobody else may read from the connection meanwhile. What the client sends is left there, and ends the watch.
    """
    me = coloop.current()
    assert me is not None
    watch = coloop.go(_watch, connection, me, name=f"{me.name}/watch")
    try:
        yield
    finally:
        watch.cancel()
        watch.join()


def _watch(connection: Socket, who: Coroutine) -> None:
    try:
        left = not connection.peek(1)
    except (OSError, Closed):
        left = True
    if left:
        who.cancel()
