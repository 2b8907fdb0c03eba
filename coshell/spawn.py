"""`go f(x)` is Go's statement: `f` and `x` are evaluated here and now, the call itself runs elsewhere.

The alternative, to evaluate the whole expression in the new coroutine, reads the same and is a trap: in
`for conn in conns: go serve(conn)` every coroutine would see whatever `conn` is by the time it runs. So
the call is taken apart at compile time: `f(x, *xs, key=v)` becomes a function that evaluates the parts in
the order in which Python would, with Python's own errors, and hands them over instead of calling.

A block has no arguments to evaluate early. It becomes the body of a function without a name for others:
its variables are its own, so that a thousand of them do not share one loop counter.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any, Final, cast

from .command import CommandError

BLOCK_NAME: Final = "block"
COUNTER: Final = "i"
_TAKE_APART: Final = "__coshell_take_apart"


@dataclass(frozen=True)
class Call:
    """A call that has not been made yet.

    Attributes:
        function: what is to be called.
        args: its positional arguments.
        kwargs: its keyword arguments.
    """

    function: Any
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


def calls(source: str, filename: str, names: dict[str, Any], *, counted: bool) -> Callable[[int], Call]:
    """Compile what stands behind `go`.

    Args:
        source: a call, or a block (`:` and indented lines).
        filename: what tracebacks call it.
        names: the global names of the code.
        counted: bind `i`; otherwise an `i` is the user's own.

    Returns:
        A function from the value of `i` to the call that is to be made.

    Raises:
        CommandError: it is neither.
        SyntaxError: it is no Python.
    """
    parameters = [COUNTER] if counted else []
    if source.startswith(":"):
        block = _function(_block(source, filename, parameters), filename, names)
        return lambda i: Call(block, (i,) if counted else ())
    evaluate = _function(_taken_apart(source.strip(), filename, parameters), filename, names)
    return lambda i: cast("Call", evaluate(_take_apart, *[i] * counted))


def _block(source: str, filename: str, parameters: list[str]) -> ast.Module:
    module: ast.Module = _parsed(f"def {BLOCK_NAME}({', '.join(parameters)}){source}\n", filename, "exec")
    return module


def _taken_apart(source: str, filename: str, parameters: list[str]) -> ast.Module:
    """`f(x)` as `lambda take_apart, i: take_apart(f, x)`."""
    call = _parsed(source, filename, "eval").body
    if not isinstance(call, ast.Call):
        raise CommandError(f"go starts a call, as in `go f(1)`: {_instead_of(call)}")
    args = [ast.arg(name) for name in (_TAKE_APART, *parameters)]
    arguments = ast.arguments(posonlyargs=[], args=args, kwonlyargs=[], kw_defaults=[], defaults=[])
    body = ast.Call(ast.Name(_TAKE_APART, ast.Load()), [call.func, *call.args], call.keywords)
    return ast.fix_missing_locations(ast.Module([ast.Expr(ast.Lambda(arguments, body))], []))


def _take_apart(function: Any, /, *args: Any, **kwargs: Any) -> Call:
    return Call(function, args, kwargs)


def _instead_of(expression: ast.expr) -> str:
    text = ast.unparse(expression)
    if isinstance(expression, (ast.Name, ast.Attribute)):
        return f"write {text}() to call {text}"
    if isinstance(expression, ast.Lambda):
        return f"write ({text})()"
    return f"{text} is none"


def _parsed(source: str, filename: str, mode: str) -> Any:
    """As `ast.parse`, of which no frame appears in the traceback of a `SyntaxError` this way."""
    return compile(source, filename, mode, ast.PyCF_ONLY_AST, dont_inherit=True)


def _function(module: ast.Module, filename: str, names: dict[str, Any]) -> FunctionType:
    """The one function that a module consists of, without running the module."""
    code = compile(module, filename, "exec", dont_inherit=True)
    inner = next(part for part in code.co_consts if isinstance(part, CodeType))
    if inner.co_flags & (inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        raise CommandError("go cannot yield: nobody would ask for the values; send them through a Channel")
    return FunctionType(inner, names)
