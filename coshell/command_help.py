"""The help of a command follows from its declaration, so that it cannot tell anything else than what is so."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from .arg import Arg

if TYPE_CHECKING:
    from .command import Command

WIDTH: Final = 80
_METAVARS: Final = {"int": "N", "duration": "SECONDS", "python": "EXPR", "value": "VALUE"}


def usage(command: Command) -> str:
    """One line: `connect ADDRESS [--as NAME] [--json]`."""
    *options, _help = command.options
    return " ".join([command.name, *(_usage_of(arg) for arg in (*command.positionals, *options))])


def text(command: Command) -> str:
    """All that there is to know."""
    parts = [f"{command.name}: {command.summary}", f"usage: {usage(command)}"]
    if command.details:
        parts.append("\n".join(map(_details_line, command.details.split("\n"))))
    parts.append("\n".join(_arg_lines([*command.positionals, *command.options])))
    if command.examples:
        lines = [f"  {line}" for example in command.examples for line in example.split("\n")]
        parts.append("\n".join(["examples:", *lines]))
    if command.owner != "coshell":
        parts.append(f"from plugin {command.owner}")
    return "\n\n".join(parts)


def _details_line(line: str) -> str:
    """What is indented is a form, to be read as it stands; the rest is text."""
    return line if line.startswith("  ") else textwrap.fill(line, WIDTH)


def metavar(arg: Arg) -> str:
    """What stands for a value of this argument: `ADDRESS`, `N`."""
    if arg.choices and arg.kind == "choice":
        return "|".join(arg.choices)
    if not arg.is_option:
        return arg.name.upper().replace("-", "_")
    return _METAVARS.get(arg.kind, arg.kind.upper())


def _usage_of(arg: Arg) -> str:
    if not arg.is_option:
        shown = f"{metavar(arg)}{'...' if arg.repeat else ''}"
        return f"[{shown}]" if arg.optional else shown
    value = "" if arg.kind == "flag" else f" {metavar(arg)}"
    return f"[{arg.short or arg.name}{value}]"


def _arg_lines(args: Sequence[Arg]) -> list[str]:
    heads = [_head(arg) for arg in args]
    width = max(map(len, heads))
    return [f"  {head:{width}}  {arg.help}".rstrip() for head, arg in zip(heads, args, strict=True)]


def _head(arg: Arg) -> str:
    if not arg.is_option:
        return metavar(arg)
    names = f"{arg.short}, {arg.name}" if arg.short else arg.name
    return names if arg.kind == "flag" else f"{names} {metavar(arg)}"
