"""Ports on which nobody listens, and nobody begins to while a test counts on it.

One that was had from the kernel and given back is not like that: it may be the next that the kernel gives out, to the
server that this very test starts, or to another test that runs beside. So they are taken from below the range
from which any kernel gives them out (32768 and more on Linux, 49152 on others).
"""

import errno
import random
import socket
from typing import Final

NEVER_GIVEN_OUT: Final = range(20_000, 32_768)


def free_port() -> int:
    """A port of 127.0.0.1 that is free. By chance, because several suites may run at a time."""
    for port in random.sample(NEVER_GIVEN_OUT, 100):
        with socket.socket() as probe:  # as it is: `create_server` would also take one that is in TIME_WAIT
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return port
    raise AssertionError("of 100 ports none is free")
