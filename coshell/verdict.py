"""An assertion that fails must say what was the case, or somebody has to run it again to see.

Of `heap("echo#1") < 64K` what one wants to see is the left side. So a comparison is taken apart: its operands are
evaluated one after the other and compared as Python would, each once, and when it does not hold the
leftmost value is shown; in units, if the other side was written in units.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .lines import expand_units
from .showing import shown
from .values import Bytes, Duration

# From the syntax tree to the operation; `in` has its operands the other way round.
_OPERATIONS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
_SIZE: Final = re.compile(r"(?<![\w.])\d+(?:\.\d+)?[KMG]\b")
_DURATION: Final = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:ms|us|s|m|h)\b")


@dataclass(frozen=True)
class Verdict:
    """Whether an assertion holds.

    Attributes:
        ok: it does.
        text: if not, the assertion and what was the case: `heap("e") < 64K failed: 71.2K`.
    """

    ok: bool
    text: str = ""


def judge(expression: str, evaluate: Callable[[str], Any]) -> Verdict:
    """Whether an expression is true.

    Args:
        expression: Python, in which sizes and durations may be written `64K`, `300ms`.
        evaluate: gives the value of plain Python.

    Raises:
        BaseException: whatever the expression raises.
    """
    plain = expand_units(expression).strip()
    tree = ast.parse(plain, mode="eval").body
    if isinstance(tree, ast.Compare):
        holds, value = _compared(tree, evaluate, plain)
    else:
        value = evaluate(plain)
        holds = bool(value)
    return Verdict(True) if holds else Verdict(False, f"{expression} failed: {_in_units(value, expression)}")


def _compared(tree: ast.Compare, evaluate: Callable[[str], Any], plain: str) -> tuple[bool, Any]:
    """Whether the whole chain holds, and the leftmost value."""
    first = left = evaluate(_source(plain, tree.left))
    for operation, operand in zip(tree.ops, tree.comparators, strict=True):
        right = evaluate(_source(plain, operand))
        if not _OPERATIONS[type(operation)](left, right):
            return False, first
        left = right
    return True, first


def _source(plain: str, node: ast.expr) -> str:
    return f"({ast.get_source_segment(plain, node)})"


def _in_units(value: Any, expression: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and _SIZE.search(expression):
        return str(Bytes(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool) and _DURATION.search(expression):
        return str(Duration(value))
    return str(value) if isinstance(value, (Bytes, Duration)) else shown(value)
