"""What can be known to be wrong with a step before anything has run.

A script that stops in the middle leaves servers, files and half an experiment behind. So quotes,
brackets, Python's syntax, and the names and forms of directives are looked at first, all of them. What
depends on what runs cannot be: behind a line that loads a plugin, a word that nobody knows may well
have become a command, and is left to be judged when its turn comes.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from .lines import Line, LineError, classify, expand_units, words
from .statements import Flaw, Statement
from .steps import DIRECTIVES, Grammar, SessionError, Step, arguments_at
from .text import nearest
from .transcript import with_any_holes
from .values import parse_duration

_WITHIN: Final = re.compile(r"(?:^|(?<=\s))within\s+(\S+)\s*(?:#.*)?$")
_LOADS_PLUGIN: Final = re.compile(r":?plugin\s+load\b")
_REQUIRED: Final = re.compile(r"plugin\s+(\S+)$")
_SETTING: Final = re.compile(r"(\S+)\s+(\S.*)$")
_FIRST_WORD: Final = re.compile(r"[a-z][\w-]*(?=\s)")


@dataclass(frozen=True, slots=True)
class Condition:
    """What `@wait` waits for, and `@idle`.

    Attributes:
        expression: as it was typed; empty for `@idle`.
        within_s: the time it has; None for the usual one.
    """

    expression: str
    within_s: float | None


def condition_of(text: str) -> Condition:
    """Take `EXPR within 5s` apart.

    Raises:
        ValueError: what stands behind `within` is no duration.
    """
    found = _WITHIN.search(text)
    expression = text[: found.start()] if found else text
    is_comment = expression.startswith("#")
    return Condition("" if is_comment else expression.rstrip(), parse_duration(found[1]) if found else None)


def required_plugin(text: str) -> str | None:
    """The name in `plugin NAME`."""
    found = _REQUIRED.match(text)
    return None if found is None else found[1]


def setting_of(text: str) -> tuple[str, str] | None:
    """The two parts of `KEY VALUE`."""
    found = _SETTING.match(text)
    return None if found is None else (found[1], found[2])


def included_file(text: str) -> str:
    """The name in `FILE`, which may be quoted."""
    is_quoted = len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]
    return text[1:-1] if is_quoted else text


class Checker:
    """Looks at steps in their order.

    Args:
        grammar: what is known of words.
    """

    def __init__(self, grammar: Grammar) -> None:
        self._grammar = grammar
        self._more_may_be_known = False
        self._checks: dict[str, Callable[[Step], None]] = {
            "input": self._input,
            "assert": self._assert,
            "wait": self._wait,
            "idle": self._idle,
            "set": self._set,
            "require": self._require,
            "include": self._include,
            "directive": self._directive,
        }

    def check(self, step: Step) -> Step:
        """The same step.

        Raises:
            SessionError: it is wrong as it stands.
        """
        self._checks[step.kind](step)
        return step

    def _input(self, step: Step) -> None:
        line = step.text.split("\n", 1)[0]
        head = self._head(step, line)
        if head.kind == "python":
            self._python(step)
        elif head.kind == "command":
            self._command(step, head, max(0, arguments_at(line, head)))

    def _head(self, step: Step, line: str) -> Line:
        """What a line is; in a command of a transcript holes may stand for text: `nc :[PORT]`."""
        if step.transcript:
            head = classify(with_any_holes(line), self._grammar.commands, self._grammar.bound)
            if head.kind == "command" and head.name not in self._grammar.python_commands:
                return head
        return classify(line, self._grammar.commands, self._grammar.bound)

    def _command(self, step: Step, head: Line, at: int) -> None:
        self._more_may_be_known |= _LOADS_PLUGIN.match(step.text) is not None
        if head.name in self._grammar.python_commands:
            _refuse_flaw(step, at)
        elif head.name not in self._grammar.text_commands:
            _refuse_open_quote(step, head.rest, at)

    def _python(self, step: Step) -> None:
        if self._more_may_be_known:
            return
        _refuse_flaw(step, 0)
        try:
            tree = _compiled(step.text, "exec")
        except SyntaxError as error:
            raise _at(step, error.lineno, error.offset, (error.msg or "") + self._hint(step)) from error
        if _is_bare_annotation(tree) and (hint := self._hint(step)):  # `ecoh :0` is valid, and does nothing
            raise _at(step, 1, 1, hint.removeprefix("; "))

    def _hint(self, step: Step) -> str:
        """For what looks like a command that is not quite spelt right."""
        word = _FIRST_WORD.match(step.text)
        hint = nearest(word[0], self._grammar.commands) if word else None
        return f"; no command {word[0]!r}, did you mean {hint!r}?" if word and hint else ""

    def _directive(self, step: Step) -> None:
        if step.name in self._grammar.directives or self._more_may_be_known:
            return
        hint = nearest(step.name, [*DIRECTIVES, *self._grammar.directives])
        raise _at(
            step, 1, 1 - step.offset, f"no directive @{step.name}{f', did you mean @{hint}?' if hint else ''}"
        )

    def _assert(self, step: Step) -> None:
        _refuse_bad_expression(step, step.text)

    def _wait(self, step: Step) -> None:
        _refuse_bad_expression(step, _condition_in(step).expression)

    def _idle(self, step: Step) -> None:
        if _condition_in(step).expression:
            raise _at(step, 1, 1, "only a time may follow, as in @idle within 5s")

    def _set(self, step: Step) -> None:
        if setting_of(step.text) is None:
            raise _at(step, 1, 1, "a key and a value must follow, as in @set timeout 5s")

    def _require(self, step: Step) -> None:
        if required_plugin(step.text) is None:
            raise _at(step, 1, 1, "it must read @require plugin NAME")

    def _include(self, step: Step) -> None:
        if not included_file(step.text):
            raise _at(step, 1, 1, "a file name must follow")


def _at(step: Step, row: int | None, column: int | None, reason: str) -> SessionError:
    """An error at a row and column of a step's text, both from 1."""
    row, column = row or 1, column or 1
    left = step.margin + (step.offset if row == 1 else 0)
    return SessionError(step.file, step.line + row - 1, left + column, reason)


def _condition_in(step: Step) -> Condition:
    try:
        return condition_of(step.text)
    except ValueError as error:
        raise _at(step, 1, step.text.rindex("within") + 1, str(error)) from error


def _refuse_bad_expression(step: Step, expression: str) -> None:
    if not expression:
        raise _at(step, 1, 1, "an expression must follow")
    _refuse_flaw(step, 0)
    expanded = expand_units(expression)
    try:
        _compiled(expanded, "eval")
    except SyntaxError as error:
        column = error.offset if expanded == expression else None  # units move what stands behind them
        raise _at(step, error.lineno, column, error.msg or "") from error


def _refuse_flaw(step: Step, python_at: int) -> None:
    flaw = _flaw_of(step.text, python_at)
    if flaw is not None:
        raise _at(step, flaw.line + 1, flaw.column, flaw.message)


def _flaw_of(text: str, python_at: int) -> Flaw | None:
    first, *rest = text.split("\n")
    statement = Statement(first, offset=python_at)
    for line in rest:
        statement.add(line)
    return statement.flaw


def _refuse_open_quote(step: Step, arguments: str, at: int) -> None:
    try:
        words(arguments)
    except LineError as error:
        raise _at(step, 1, at + error.column, str(error)) from error


def _compiled(source: str, mode: str) -> ast.AST:
    """The tree of what compiles without an error.

    Raises:
        SyntaxError: it does not.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it will be compiled again, and may complain then
            tree = ast.parse(source, mode=mode)
            assert isinstance(tree, (ast.Module, ast.Expression))
            compile(tree, "<session>", mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            return tree
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise SyntaxError(str(error) or "too deeply nested") from error


def _is_bare_annotation(tree: ast.AST) -> bool:
    match tree:
        case ast.Module(body=[ast.AnnAssign(value=None)]):
            return True
    return False
