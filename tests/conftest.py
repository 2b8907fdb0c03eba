"""What holds for all tests."""

import signal


def pytest_configure() -> None:
    """Hear Ctrl-C, here and in the programs that tests start.

    A shell that starts a job in the background has it ignored there.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
