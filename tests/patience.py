"""How long a test waits for what must come.

Long enough for the slowest machine at its busiest, so that only what would never come ends a wait. It says
nothing about how fast something is: no test asks that.
"""

import threading
from typing import Final

PATIENCE_S: Final = 45.0  # less than pytest's own limit, so that the failure says what was waited for


def wait_for(event: threading.Event) -> None:
    """Wait until it is set; fail if it never is."""
    assert event.wait(PATIENCE_S), "it was never set"
