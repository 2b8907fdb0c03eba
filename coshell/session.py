"""A session file is an experiment that can be read, run, and run again.

It has three forms. A *script* is lines as one would type them. In a *transcript* typed lines begin with
`co> ` and what stands below them is what was printed. And a Markdown file may hold both, in fenced
`cosh` blocks, so that a text about an experiment cannot drift away from what it tells.

Files are read whole, and the files that they include too, before anything of them runs: what happens to
a file while it runs does not matter, and an error in its last line is found before its first line has
done anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from .checks import Checker, included_file
from .reading import Edit, ReadError, Source, read_source
from .steps import Grammar, LineSplitter, SessionError, Step, begin_step
from .transcript import CONTINUATION, PROMPT

MAX_INCLUDE_DEPTH: Final = 16
MAX_INCLUDES: Final = 1_000  # sixteen levels of ten each would be more steps than there is time

MARKDOWN_SUFFIXES: Final = (".md", ".markdown")
_FENCE: Final = re.compile(r"(?P<indent>\s*)(?P<fence>`{3,}|~{3,})\s*(?P<language>[^\s`]*)[^`]*$")


@dataclass(frozen=True, slots=True)
class Session:
    """What a session file tells to do.

    Attributes:
        name: the file as the user called it.
        steps: in their order; included files are in their places.
        sources: the texts that they were read from, the file's own first.
    """

    name: str
    steps: tuple[Step, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class _Block:
    """Consecutive lines of a file that belong to one session."""

    first: int  # the number of its first line
    indent: int  # how many characters stand left of each line
    lines: tuple[str, ...]

    @property
    def is_transcript(self) -> bool:
        return any(_is_typed(line, PROMPT) for line in self.lines)


def load(name: str, grammar: Grammar, read: Callable[[str], Source] = read_source) -> Session:
    """Read a session file and all that it includes, and check every step.

    Args:
        name: the file; `-` for standard input.
        grammar: what is known of words.
        read: from a name to the text.

    Raises:
        ReadError: it cannot be read.
        SessionError: a line of it is wrong.
    """
    loader = _Loader(grammar, read)
    source = read(name)
    steps = tuple(loader.steps_of(source, (source,)))
    return Session(source.name, steps, tuple(loader.sources))


def parse(source: Source, grammar: Grammar) -> Iterator[Step]:
    """The steps of one text, unchecked; its `@include` steps are among them.

    Raises:
        SessionError: a line belongs to nothing.
    """
    for block in _blocks_of(source):
        yield from (_transcript_steps if block.is_transcript else _script_steps)(block, source.name, grammar)


def edit_for(step: Step, expected: Sequence[str]) -> Edit:
    """What gives a transcript's step other expectations."""
    indent = " " * (step.margin - len(PROMPT) if step.kind == "input" else step.margin)
    lines = tuple((indent + line).rstrip() for line in expected)
    return Edit(step.expected_after, len(step.expected or ()), lines)


class _Loader:
    """Follows the includes of one session."""

    def __init__(self, grammar: Grammar, read: Callable[[str], Source]) -> None:
        self._grammar = grammar
        self._read = read
        self._checker = Checker(grammar)
        self.sources: list[Source] = []

    def steps_of(self, source: Source, chain: tuple[Source, ...]) -> Iterator[Step]:
        """The checked steps of a text; `chain` is how it came to be included, itself last."""
        self.sources.append(source)
        for step in parse(source, self._grammar):
            self._checker.check(step)
            if step.kind == "include":
                included = self._included(step, chain)
                yield from self.steps_of(included, (*chain, included))
            else:
                yield step

    def _included(self, step: Step, chain: tuple[Source, ...]) -> Source:
        if len(chain) > MAX_INCLUDE_DEPTH:
            raise SessionError(
                step.file, step.line, None, f"includes nested more than {MAX_INCLUDE_DEPTH} deep"
            )
        if len(self.sources) > MAX_INCLUDES:
            raise SessionError(step.file, step.line, None, f"more than {MAX_INCLUDES} includes")
        name = str(Path(chain[-1].name).parent / included_file(step.text))
        try:
            source = self._read(name)
        except ReadError as error:
            raise SessionError(step.file, step.line, None, f"@include: {error}") from error
        if source.path is not None and source.path in {above.path for above in chain}:
            loop = " -> ".join(above.name for above in (*chain, source))
            raise SessionError(step.file, step.line, None, f"include loop {loop}")
        return source


def is_markdown(name: str) -> bool:
    """Whether only the `cosh` blocks of a file of that name are meant."""
    return Path(name).suffix.lower() in MARKDOWN_SUFFIXES


def _blocks_of(source: Source) -> Iterator[_Block]:
    if is_markdown(source.name):
        return _fenced_blocks(source.lines)
    return iter([_Block(1, 0, source.lines)])


def _fenced_blocks(lines: Sequence[str]) -> Iterator[_Block]:
    """The `cosh` blocks of a Markdown text; a block without an end goes on to the end of the text."""
    at = 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        at += 1
        if opening is None:
            continue
        first = at
        closing = re.compile(rf"\s*{opening['fence'][0]}{{{len(opening['fence'])},}}\s*$")
        while at < len(lines) and not closing.match(lines[at]):
            at += 1
        if opening["language"].lower() == "cosh":
            indent = len(opening["indent"])
            yield _Block(first + 1, indent, tuple(_without_indent(line, indent) for line in lines[first:at]))
        at += 1


def _without_indent(line: str, width: int) -> str:
    return line[width:] if not line[:width].strip() else line.lstrip()


def _script_steps(block: _Block, file: str, grammar: Grammar) -> Iterator[Step]:
    splitter = LineSplitter(grammar, file, first_line=block.first, margin=block.indent)
    for line in block.lines:
        yield from splitter.feed(line)
    yield from splitter.close()


def _transcript_steps(block: _Block, file: str, grammar: Grammar) -> Iterator[Step]:
    lines, at = block.lines, 0
    while at < len(lines):
        line, number = lines[at], block.first + at
        at += 1
        if not line.strip() or line.startswith("#"):
            continue
        if not _begins_step(line, grammar):
            raise SessionError(file, number, block.indent + 1, _why_nobodys(lines[: at - 1]))
        typed, at = _typed_lines(lines, at - 1)
        expected, end = _expected_lines(lines, at, grammar)
        step = _transcript_step(typed, file, number, grammar)
        yield replace(
            step,
            margin=step.margin + block.indent,
            transcript=True,
            expected=expected or None,
            expected_after=block.first - 1 + at,
        )
        at = end


def _transcript_step(typed: Sequence[str], file: str, number: int, grammar: Grammar) -> Step:
    if not _is_typed(typed[0], PROMPT):
        return begin_step(typed[0], file, number, grammar)[0]
    first, *rest = "\n".join(line[len(PROMPT) :] for line in typed).rstrip().split("\n")
    begun, _ = begin_step(first, file, number, grammar, len(PROMPT))
    return replace(begun, text="\n".join([begun.text, *rest]))


def _is_typed(line: str, prompt: str) -> bool:
    return line.startswith(prompt) or line == prompt.rstrip()


def _begins_step(line: str, grammar: Grammar) -> bool:
    return _is_typed(line, PROMPT) or grammar.directive_in(line) is not None


def _typed_lines(lines: Sequence[str], start: int) -> tuple[Sequence[str], int]:
    end = start + 1
    while end < len(lines) and _is_typed(lines[start], PROMPT) and _is_typed(lines[end], CONTINUATION):
        end += 1
    return lines[start:end], end


def _expected_lines(lines: Sequence[str], start: int, grammar: Grammar) -> tuple[tuple[str, ...], int]:
    """What stands below a step, up to the next one or to a comment, without empty lines at its end."""
    end = start
    while end < len(lines) and not lines[end].startswith("#") and not _begins_step(lines[end], grammar):
        end += 1
    last = end
    while last > start and not lines[last - 1].strip():
        last -= 1
    return tuple(lines[start:last]), end


def _why_nobodys(above: Sequence[str]) -> str:
    """Why a line of a transcript is neither typed nor expected."""
    if any(line.startswith("#") for line in above) and any(_is_typed(line, PROMPT) for line in above):
        return "output must stand right below what was typed; if the # line above is output, write it [..]#"
    return "a transcript begins with a line typed at co>, a directive, or a comment"
