"""What a typed line is: a command, Python, the system's shell or a question; and its words.

Two languages share one prompt. The rule that tells them apart is small enough to be learned, and
is shown while one types: a bare first word is a command if it is registered, not bound by the
user, and not followed by something that only makes sense in Python (`= ( . [ ,` or an operator).
`:word` is always a command. An option (`-n`, `--all`), a port (`:8080`, `:{port}`) and a path (`/x`,
`./x`) look like the beginning of an operator and are none.

In the words of a command `'...'` is taken as it is, `"..."` has Python's escapes, and `$name` and
`{expression}` put in Python values, outside of single quotes; `{{` is a brace. A `#` that stands alone
begins a comment (`co#3` is a word, and so is `#3`). Everything here is pure, and linear in the length of
the line, which is capped.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from .values import parse_duration, parse_size

MAX_LINE_CHARS: Final = 64 * 1024

MAX_NUMBER_CHARS: Final = 40

_FIRST_WORD: Final = re.compile(r"[^\W\d]\w*")
_ONLY_IN_PYTHON: Final = re.compile(
    r"""
      (?: in | is | and | or | if | not\s+in ) \b     # word operators
    | [=,(.\[%^&|<>+*]                                # but see _NOT_AN_OPERATOR
    | - | / | @ | : | !=
    """,
    re.VERBOSE,
)
_NOT_AN_OPERATOR: Final = re.compile(
    r"""
      --? [^\W\d]                                     # an option
    | : [^\s=]                                        # a port
    | \.{0,2} / [^\s=/]                               # a path
    | \[ [0-9A-Fa-f:.]* : [0-9A-Fa-f:.]* \] :         # [::1]:8080
    """,
    re.VERBOSE,
)
_COMMENT: Final = re.compile(r"#(?!\S)")
_FLAG: Final = re.compile(r"-[^\s=]+")
_ESCAPE: Final = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[0-7]{1,3}|.)", re.DOTALL)
_NAMED_ESCAPES: Final = {
    "n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v",
    "\\": "\\", '"': '"', "'": "'", "{": "{", "}": "}", "$": "$",
}  # fmt: skip
# A string that is never closed goes on to where it must end. So each of these matches wherever a quote
# stands, and nothing is looked at twice: a failing match at every quote would be quadratic.
_STRING: Final = r"""
    ''' (?: \\[\s\S] | (?!''') [^\\] )*+ (?: ''' | \\?\Z )
  | \"\"\" (?: \\[\s\S] | (?!\"\"\") [^\\] )*+ (?: \"\"\" | \\?\Z )
  | ' (?: \\[\s\S] | [^'\\\n] )*+ '?
  | " (?: \\[\s\S] | [^"\\\n] )*+ "?
"""
_NOT_CODE: Final = re.compile(
    rf"{_STRING} | (?: (?<!\w)\# | \#(?!\d) )[^\n]*", re.VERBOSE
)  # `co#3` is a name
_WITH_UNIT: Final = re.compile(
    rf"""
    {_STRING} | \#[^\n]*
    | [^\W\d]\w*                                      # a name, with whatever digits are in it
    | (?P<number> [0-9][0-9_]*(?:\.[0-9_]*)? | \.[0-9][0-9_]* ) (?P<unit> K|M|G|T|us|ms|s|m|h|d ) (?![\w.])
    | \.?\d[\w.]*                                     # a number that Python can read
    """,
    re.VERBOSE,
)


class LineError(Exception):
    """A line that cannot be read.

    Attributes:
        column: where, counted from 1 in the text that was to be read.
    """

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


class ShadowedCommand(LineError):
    """The first word is a command, and a name of the user's: in a file that is never guessed."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a line is.

    Attributes:
        kind: `command python os help directive comment blank`.
        name: the command's, the directive's or the topic's name; empty for the others.
        rest: what follows the name; for Python and the system's shell the source.
        column: where the name begins, counted from 1.
    """

    kind: str
    name: str
    rest: str
    column: int


@dataclass(frozen=True, slots=True)
class Expression:
    """A Python expression inside of a word."""

    source: str


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command line.

    Attributes:
        parts: literal text and expressions, in order.
        start: its first character's offset in the line.
        end: the offset behind its last character.
        quoted: whether any part of it was in quotes: then it is no option.
    """

    parts: tuple[str | Expression, ...]
    start: int
    end: int
    quoted: bool


def classify(
    line: str, commands: Container[str], bound: Container[str] = (), *, strict: bool = False
) -> Line:
    """Tell what `line` is.

    Args:
        line: one line, as typed.
        commands: the registered commands' names.
        bound: the names that the user has bound; they win over commands.
        strict: raise `ShadowedCommand` instead of letting the user's name win.
    """
    text = line.strip()
    column = len(line) - len(line.lstrip()) + 1
    if not text:
        return Line("blank", "", "", column)
    marked = _marked(text, column)
    if marked is not None:
        return marked
    found = _FIRST_WORD.match(text)
    if found is None or found[0] not in commands or not _reads_as_command(text[found.end() :]):
        return Line("python", "", text, column)
    name = found[0]
    if name in bound:
        if strict:
            raise ShadowedCommand(
                f"{name!r} is a command and a name of yours: write :{name} for the command", column
            )
        return Line("python", "", text, column)
    return Line("command", name, text[found.end() :].strip(), column)


def _marked(text: str, column: int) -> Line | None:
    """Lines whose first character says what they are."""
    mark, rest = text[0], text[1:].strip()
    if mark == "#":
        return Line("comment", "", rest, column)
    if mark == "!":
        return Line("os", "", rest, column)
    if mark == "?":
        return Line("help", rest, "", column + 1)
    if mark not in ":@":
        return None
    found = _FIRST_WORD.match(rest)
    name = found[0] if found else rest.split(maxsplit=1)[0] if rest else ""
    return Line("command" if mark == ":" else "directive", name, rest[len(name) :].strip(), column + 1)


def _reads_as_command(rest: str) -> bool:
    """Whether what follows a command's name can be its arguments."""
    if not rest or rest.isspace():
        return True
    if not rest[0].isspace():
        return rest.rstrip() == ":"  # `go:` opens a block; anything else that is glued on is Python
    following = rest.lstrip()
    return _ONLY_IN_PYTHON.match(following) is None or _NOT_AN_OPERATOR.match(following) is not None


def words(text: str) -> list[Word]:
    """Split the arguments of a command.

    Raises:
        LineError: a quote or a brace is never closed, or the line is too long.
    """
    _check_length(text)
    return list(_Splitter(text).words())


def _check_length(text: str) -> None:
    if len(text) > MAX_LINE_CHARS:
        raise LineError(
            f"line of {len(text):,} characters: at most {MAX_LINE_CHARS:,} are read", MAX_LINE_CHARS
        )


class _Splitter:
    """One pass over a line, from left to right."""

    def __init__(self, text: str, at: int = 0) -> None:
        self.text = text
        self.at = at

    def words(self) -> Iterator[Word]:
        while self._find_word():
            start = self.at
            parts: list[str | Expression] = []
            quoted = False
            while self.at < len(self.text) and not self.text[self.at].isspace():
                quoted = quoted or self.text[self.at] in "'\""
                parts.extend(self._piece())
            yield Word(_joined(parts), start, self.at, quoted)

    def _find_word(self) -> bool:
        self.at = _after_blanks(self.text, self.at)
        return self.at < len(self.text) and _COMMENT.match(self.text, self.at) is None

    def _piece(self) -> list[str | Expression]:
        character = self.text[self.at]
        if character == "'":
            return [self._raw()]
        if character == '"':
            return list(self._cooked())
        return [self._plain()]

    def _raw(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise LineError("quote opened here is never closed", self.at + 1)
        piece, self.at = self.text[self.at + 1 : end], end + 1
        return piece

    def _cooked(self) -> Iterator[str | Expression]:
        opened = self.at
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] != '"':
            found = _ESCAPE.match(self.text, self.at)
            if found is None:
                yield self._plain()
            else:
                self.at = found.end()
                yield _unescaped(found[0])
        if self.at >= len(self.text):
            raise LineError("quote opened here is never closed", opened + 1)
        self.at += 1

    def _plain(self) -> str | Expression:
        """A character, a doubled brace, `$name` or `{expression}`."""
        character = self.text[self.at]
        if self.text[self.at : self.at + 2] in {"{{", "}}"}:
            self.at += 2
            return character
        if character == "{":
            return self._braced()
        if character == "$" and (found := _FIRST_WORD.match(self.text, self.at + 1)):
            self.at = found.end()
            return Expression(found[0])
        self.at += 1
        return character

    def _braced(self) -> Expression:
        start = self.at + 1
        end = next((at for at in _outermost(self.text, start) if self.text[at] == "}"), None)
        if end is None:
            raise LineError("brace opened here is never closed (write {{ for a brace)", start)
        source, self.at = self.text[start:end].strip(), end + 1
        if not source:
            raise LineError("no expression between these braces (write {{ for a brace)", start)
        return Expression(source)


def _joined(parts: list[str | Expression]) -> tuple[str | Expression, ...]:
    """Neighbouring literals made one."""
    joined: list[str | Expression] = []
    literal: list[str] = []
    for part in parts:
        if isinstance(part, str):
            literal.append(part)
            continue
        if literal:
            joined.append("".join(literal))
            literal = []
        joined.append(part)
    if literal or not joined:
        joined.append("".join(literal))
    return tuple(joined)


def _unescaped(escape: str) -> str:
    body = escape[1:]
    if body[0] in "xuU" and len(body) > 1:
        number = int(body[1:], 16)
        return chr(number) if number <= 0x10FFFF else escape
    if body[0] in "01234567":
        return chr(int(body, 8))
    return _NAMED_ESCAPES.get(body, escape)


def _after_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _outermost(source: str, at: int) -> Iterator[int]:
    """The offsets, from `at` on, of what is in no bracket, string or comment of Python source."""
    depth = 0
    while at < len(source):
        skipped = _NOT_CODE.match(source, at)
        if skipped is not None:
            at = skipped.end()
            continue
        if depth == 0:
            yield at
        depth += (source[at] in "([{") - (source[at] in ")]}")
        depth = max(depth, 0)
        at += 1


def split_raw(text: str, flags: Mapping[str, bool]) -> tuple[str, dict[str, str | bool]]:
    """Split the arguments of a command whose main argument is Python: `-n 1000 f(x) --name leaky`.

    Known flags are recognised before and after the expression, at bracket depth 0 and outside of
    strings; whatever else begins with a dash belongs to Python.

    Args:
        text: what follows the command's name.
        flags: the known flags; whether each takes a value.

    Returns:
        The source, and the flags that were given: their value's text, or True.

    Raises:
        LineError: a flag lacks its value, or something else follows the flags at the end.
    """
    _check_length(text)
    given: dict[str, str | bool] = {}
    begin = _take_flags(text, 0, flags, given)
    end = _first_flag(text, begin, flags)
    rest = _take_flags(text, end, flags, given)
    if rest < len(text) and _COMMENT.match(text, rest) is None:
        raise LineError("only options can follow an option here", rest + 1)
    return text[begin:end].strip(), given


def _first_flag(text: str, begin: int, flags: Mapping[str, bool]) -> int:
    """The offset of the first flag behind the expression that begins at `begin`; the end if there is none."""
    return next(
        (
            at
            for at in _outermost(text, begin)
            if text[at] == "-" and text[at - 1].isspace() and _flag_at(text, at, flags)
        ),
        len(text),
    )


def _take_flags(text: str, at: int, flags: Mapping[str, bool], given: dict[str, str | bool]) -> int:
    """Put the flags that stand at `at` into `given`; returns where something else begins."""
    at = _after_blanks(text, at)
    while name := _flag_at(text, at, flags):
        at += len(name)
        given[name] = True
        if flags[name]:
            word = _value_at(text, at, name)
            given[name], at = _literal(word), word.end
        at = _after_blanks(text, at)
    return at


def _value_at(text: str, at: int, flag: str) -> Word:
    found = next(_Splitter(text, at + text.startswith("=", at)).words(), None)
    if found is None:
        raise LineError(f"{flag} needs a value", at)
    return found


def _flag_at(text: str, at: int, flags: Mapping[str, bool]) -> str | None:
    """The flag that stands at this offset."""
    found = _FLAG.match(text, at)
    return found[0] if found and found[0] in flags else None


def _literal(word: Word) -> str:
    """The text of a word; an expression in it as it was written."""
    return "".join(part if isinstance(part, str) else f"{{{part.source}}}" for part in word.parts)


def expand_units(expression: str) -> str:
    """Write `64K`, `2M`, `5s`, `300ms` in an expression as plain numbers of bytes and seconds.

    Strings and names are left alone; so is everything that Python can read by itself.
    """
    return _WITH_UNIT.sub(_as_number, expression)


def _as_number(found: re.Match[str]) -> str:
    unit = found["unit"]
    if unit is None or len(found[0]) > MAX_NUMBER_CHARS:
        return found[0]
    text = found["number"].replace("_", "") + unit
    return str(parse_size(text)) if unit in "KMGT" else f"{parse_duration(text):.15g}"


def is_name(text: str, reserved: Collection[str] = ()) -> bool:
    """Whether `text` can be bound as a Python name."""
    return text.isidentifier() and not keyword.iskeyword(text) and text not in reserved
