"""A script that comes through a pipe is run as it comes, line by line, and stops at the first failure.

Whoever writes into the pipe may be waiting for what a line gives before sending the next one. So nothing is
read ahead: a step runs as soon as no further line can belong to it. The price is that an error in the
last line is found last; a file, which is read whole, has it better.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Final

from .batch import USAGE, grammar_for_files
from .reading import MAX_LINE_BYTES, ReadError
from .report import ShellReport, refusal
from .step_runner import StepRunner
from .steps import LineSplitter, SessionError, Step

if TYPE_CHECKING:
    from .shell import Shell

STANDARD_INPUT: Final = "<stdin>"
ARGUMENT: Final = "-c"


def run_stream(shell: Shell, stream: BinaryIO) -> int:
    """Run what comes through standard input.

    Returns:
        The exit code.
    """
    return run_lines(shell, _lines_of(stream), STANDARD_INPUT)


def run_lines(shell: Shell, lines: Iterable[str], name: str) -> int:
    """Run lines as they come; what goes wrong is told on the error console.

    Args:
        shell: what runs them.
        lines: without their ends.
        name: what messages call the script.

    Returns:
        The exit code: 0, that of the step that failed, or the one that the script gives to `quit`.
    """
    report = ShellReport(shell.output)
    with StepRunner(shell, report, strict=True) as runner:
        try:
            runner.run(_steps_of(shell, lines, name))
        except (SessionError, ReadError) as error:
            report.tell(refusal(error))
            return USAGE
    return runner.tally.exit_code


def _steps_of(shell: Shell, lines: Iterable[str], name: str) -> Iterator[Step]:
    """The steps that the lines make; none after the output has been closed."""
    splitter = LineSplitter(grammar_for_files(shell), name)
    for line in lines:
        yield from splitter.feed(line)
        if shell.output.broken:
            return
    yield from splitter.close()


def _lines_of(stream: BinaryIO) -> Iterator[str]:
    """The lines of a stream, as they come.

    Raises:
        ReadError: they are no text, or cannot be read.
    """
    number = 0
    while raw := _next_line(stream):
        number += 1
        if len(raw.rstrip(b"\r\n")) > MAX_LINE_BYTES:
            raise ReadError(
                f"{STANDARD_INPUT}:{number}: line too long, the limit is {MAX_LINE_BYTES >> 10} KiB"
            )
        yield _decoded(raw.removeprefix(BOM_UTF8) if number == 1 else raw, number)


def _next_line(stream: BinaryIO) -> bytes:
    try:
        return stream.readline(MAX_LINE_BYTES + 2)
    except OSError as error:  # as of what is open for writing only
        why = (error.strerror or str(error)).lower()
        raise ReadError(f"{STANDARD_INPUT}: cannot be read: {why}") from None


def _decoded(raw: bytes, number: int) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise ReadError(_not_text(raw[error.start], number)) from None
    if "\0" in text:
        raise ReadError(_not_text(0, number))
    return text.removesuffix("\n").removesuffix("\r")


def _not_text(byte: int, number: int) -> str:
    return f"{STANDARD_INPUT}: not a session file (byte 0x{byte:02x} at line {number})"
