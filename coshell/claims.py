"""A claim that fails shows what it has seen, for `failed` alone sends everybody back to run it again.

An expression is therefore taken apart where Python itself would go step by step: at `and`, `or`, `not`, and
at each comparison. The parts are evaluated once and in Python's order, so that `recv(c) == b"hi"` receives
once, and what stands behind a false `and` is not touched.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from .showing import shown
from .values import Bytes, Count, Duration, Percent

MAX_SEEN_CHARS: Final = 300

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[str, Callable[[Any, Any], Any]]]] = {
    ast.Eq: ("==", operator.eq),
    ast.NotEq: ("!=", operator.ne),
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.Is: ("is", operator.is_),
    ast.IsNot: ("is not", operator.is_not),
    ast.In: ("in", lambda item, holder: item in holder),
    ast.NotIn: ("not in", lambda item, holder: item not in holder),
}

Evaluate = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a claim holds.

    Attributes:
        holds: it does.
        seen: the values that decided it.
    """

    holds: bool
    seen: str


def judge(expression: str, evaluate: Evaluate) -> Finding:
    """Find out whether an expression is true.

    Args:
        expression: valid Python.
        evaluate: gives the value of a part of it; called in the coroutine that `judge` runs in.

    Raises:
        BaseException: whatever evaluating it raises.
    """
    return _judge(ast.parse(expression, mode="eval").body, evaluate)


def _judge(node: ast.expr, evaluate: Evaluate) -> Finding:
    match node:
        case ast.BoolOp(op=ast.And()):
            return _all_of(node.values, evaluate)
        case ast.BoolOp():
            return _any_of(node.values, evaluate)
        case ast.UnaryOp(op=ast.Not()):
            value = _value_of(node.operand, evaluate)
            return Finding(not value, _shown(value))
        case ast.Compare():
            return _compared(node, evaluate)
        case _:
            value = _value_of(node, evaluate)
            return Finding(bool(value), _shown(value))


def _all_of(nodes: list[ast.expr], evaluate: Evaluate) -> Finding:
    found = Finding(holds=True, seen="")
    for node in nodes:
        found = _judge(node, evaluate)
        if not found.holds:
            return Finding(found.holds, f"{ast.unparse(node)}: {found.seen}")
    return found


def _any_of(nodes: list[ast.expr], evaluate: Evaluate) -> Finding:
    seen = []
    for node in nodes:
        found = _judge(node, evaluate)
        if found.holds:
            return found
        seen.append(f"{ast.unparse(node)}: {found.seen}")
    return Finding(holds=False, seen="; ".join(seen))


def _compared(node: ast.Compare, evaluate: Evaluate) -> Finding:
    """Each comparison of a chain, up to the first that fails."""
    left_node, left = node.left, _value_of(node.left, evaluate)
    seen = ""
    for comparison, right_node in zip(node.ops, node.comparators, strict=True):
        right = _value_of(right_node, evaluate)
        sign, compare = _COMPARISONS[type(comparison)]
        seen = _both_shown(left_node, left, sign, right_node, right)
        if not compare(left, right):
            return Finding(holds=False, seen=seen)
        left_node, left = right_node, right
    return Finding(holds=True, seen=seen)


def _value_of(node: ast.expr, evaluate: Evaluate) -> Any:
    return evaluate(ast.unparse(node))


def _both_shown(left_node: ast.expr, left: Any, sign: str, right_node: ast.expr, right: Any) -> str:
    """Only what the reader does not see in the expression itself."""
    if _is_plain(right_node):
        return _shown(left)
    if _is_plain(left_node):
        return _shown(right)
    return f"{_shown(left)} {sign} {_shown(_in_unit_of(left, right))}"


def _is_plain(node: ast.expr) -> bool:
    """Whether it stands there as a value, such as `64 * 1024` or `[1, 2]`."""
    return not any(
        isinstance(part, (ast.Name, ast.Call, ast.NamedExpr, ast.Await)) for part in ast.walk(node)
    )


def _in_unit_of(left: Any, right: Any) -> Any:
    is_bare_number = type(right) is int or type(right) is float  # the type of anything may have no hash
    return (
        type(left)(right) if is_bare_number and isinstance(left, (Bytes, Count, Duration, Percent)) else right
    )


def _shown(value: Any) -> str:
    if isinstance(value, (Bytes, Count, Duration, Percent)):
        return str(value)
    text = shown(value)
    return text if len(text) <= MAX_SEEN_CHARS else f"{text[:MAX_SEEN_CHARS]}..."
