"""The keyboard of a prompt: what was typed before it opened is shown once, and by the prompt.

While a line runs, the kernel echoes what is typed ahead, so the cursor stands behind that when the prompt opens.
prompt_toolkit takes it that a prompt begins at the left edge, and would draw into the middle of the echo.
"""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TextIO

from prompt_toolkit.input.vt100 import Vt100Input
from prompt_toolkit.output import Output


class Keyboard(Vt100Input):
    """Keys of a terminal.

    Args:
        stdin: the terminal.
        output: where its echo is taken away.
    """

    def __init__(self, stdin: TextIO, output: Output) -> None:
        super().__init__(stdin)
        self._output = output

    def raw_mode(self) -> AbstractContextManager[None]:
        """For the length of a block each key is read by itself, and none is echoed any more."""
        return self._without_echo(super().raw_mode())

    @contextmanager
    def _without_echo(self, raw: AbstractContextManager[None]) -> Iterator[None]:
        with raw:
            if select.select([self.fileno()], [], [], 0)[0]:
                self._output.write_raw("\r")
                self._output.erase_end_of_line()
                self._output.flush()
            yield
