"""Python typed at the prompt runs in one module that lives as long as the session.

What is typed has no file, yet tracebacks, `where` and the ledger must show its lines. So each input gets a
name, `<co:1>`, `<co:2>`, and its text is put where Python looks for source. The text of the oldest inputs
is forgotten when all of it together has grown too long.

No result is kept: a name such as `_` would hold the last value alive, and a tool that hunts leaks must not
make one.
"""

from __future__ import annotations
import __future__

import ast
import linecache
from collections import deque
from functools import reduce
from operator import or_
from types import CodeType, ModuleType
from typing import Any, Final

MAX_REMEMBERED_BYTES: Final = 4 * 1024 * 1024
INPUT_BYTES: Final = 1024  # what an input costs besides its text
EXPRESSION: Final = "<expression>"  # one that is part of a command or directive, and gets no name of its own

_FUTURES: Final = reduce(
    or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)


class Interpreter:
    """Compiles and runs source in the user's module.

    Attributes:
        module: the module; its functions say that they belong to `__main__`.
        names: what is bound in it.
    """

    def __init__(self) -> None:
        self.module = ModuleType("__main__", "What is typed at the prompt of coshell.")
        self.names: dict[str, Any] = self.module.__dict__
        self.names["__builtins__"] = __builtins__
        self._inputs = 0
        self._remembered: deque[tuple[str, int]] = deque()
        self._remembered_bytes = 0
        self._flags = 0

    def remember(self, source: str) -> str:
        """Give an input its name, and show its lines wherever that name is seen.

        Returns:
            The file name to compile it with.
        """
        self._inputs += 1
        filename = f"<co:{self._inputs}>"
        lines = [f"{line}\n" for line in source.split("\n")]
        linecache.cache[filename] = (len(source), None, lines, filename)
        size_bytes = len(source) + INPUT_BYTES
        self._remembered.append((filename, size_bytes))
        self._remembered_bytes += size_bytes
        self._forget_oldest()
        return filename

    def run(self, source: str) -> Any:
        """Run statements.

        Returns:
            The value of the last one, if it is an expression.

        Raises:
            SyntaxError: it is no Python.
            BaseException: whatever it raises.
        """
        filename = self.remember(source)
        tree = self._parsed(source, filename)
        last = tree.body[-1] if tree.body else None
        if not isinstance(last, ast.Expr):
            return self.execute(self._compiled(tree, filename, "exec"))
        del tree.body[-1]
        self.execute(self._compiled(tree, filename, "exec"))
        return self.execute(self._compiled(ast.Expression(last.value), filename, "eval"))

    def evaluate(self, expression: str, filename: str = EXPRESSION) -> Any:
        """The value of an expression; raises as `run` does."""
        return self.execute(self._compiled(expression.strip(), filename, "eval"))

    def put_in(self, expression: str) -> Any:
        """The value of one that was put into a command; a function that it makes may live on, and keeps its text."""
        text = expression.strip()
        return self.evaluate(text, self.remember(text) if "lambda" in text else EXPRESSION)

    def execute(self, code: CodeType) -> Any:
        """Run compiled code in the user's names; the value, if it is that of an expression."""
        return eval(code, self.names)

    def _parsed(self, source: str, filename: str) -> ast.Module:
        tree = compile(source, filename, "exec", self._flags | ast.PyCF_ONLY_AST, dont_inherit=True)
        assert isinstance(tree, ast.Module)
        return tree

    def _compiled(self, source: str | ast.Module | ast.Expression, filename: str, mode: str) -> CodeType:
        code: CodeType = compile(source, filename, mode, self._flags, dont_inherit=True)
        self._flags |= code.co_flags & _FUTURES  # `from __future__ import ...` holds from then on
        return code

    def _forget_oldest(self) -> None:
        while self._remembered_bytes > MAX_REMEMBERED_BYTES and len(self._remembered) > 1:
            filename, size_bytes = self._remembered.popleft()
            linecache.cache.pop(filename, None)
            self._remembered_bytes -= size_bytes

    def forget_all(self) -> None:
        """Let go of all source text and of all names: the session is over."""
        for filename, _ in self._remembered:
            linecache.cache.pop(filename, None)
        self._remembered.clear()
        self._remembered_bytes = 0
        self.names.clear()
