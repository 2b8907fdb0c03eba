"""`go f(x)` evaluates `f` and `x` now and leaves the call for later."""

from __future__ import annotations

from typing import Any

import pytest

from coshell.command import CommandError
from coshell.spawn import Call, calls


def parts(source: str, i: int = 0, **names: Any) -> Call:
    return calls(source, "<co:1>", names, counted=True)(i)


def test_function_and_arguments_are_evaluated_and_nothing_is_called() -> None:
    called = []

    def f(*args: Any, **kwargs: Any) -> None:
        called.append((args, kwargs))

    call = parts("f(x + 1, *more, key=x, **extra)", f=f, x=1, more=[7, 8], extra={"other": 9})
    assert call == Call(f, (2, 7, 8), {"key": 1, "other": 9})
    assert called == []


def test_a_later_change_of_an_argument_is_not_seen() -> None:
    names = {"f": print, "x": "then"}
    call = calls("f(x)", "<co:1>", names, counted=True)(0)
    names["x"] = "later"
    assert call.args == ("then",)


def test_a_parameter_may_have_any_name() -> None:
    assert parts("f(function=1, name=2, self=3)", f=print).kwargs == {"function": 1, "name": 2, "self": 3}


def test_the_counter_is_bound_also_inside_of_lambdas_and_comprehensions() -> None:
    assert parts("f(i, [i + k for k in range(2)])", 5, f=print).args == (5, [5, 6])
    assert parts("(lambda: i * 2)()", 5).function() == 10


@pytest.mark.parametrize("source", ["f(i)", ": f(i)"])
def test_without_a_count_i_is_the_users_own(source: str) -> None:
    seen: list[int] = []
    call = calls(source, "<co:1>", {"f": seen.append, "i": 7}, counted=False)(0)
    call.function(*call.args)
    assert seen == [7]


def test_names_of_the_user_stay_as_they_were() -> None:
    names: dict[str, Any] = {"f": print}
    calls("f(1)", "<co:1>", names, counted=True)(0)
    calls(":\n  x = 1\n", "<co:1>", names, counted=True)(0).function(0)
    assert set(names) - {"__builtins__"} == {"f"}


def test_an_argument_that_raises_raises_here() -> None:
    with pytest.raises(ZeroDivisionError):
        parts("f(1 / 0)", f=print)


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("worker", "write worker() to call worker"),
        ("a.b", "write a.b() to call a.b"),
        ("lambda: 1", "write (lambda: 1)()"),
        ("1 + f(2)", "1 + f(2) is none"),
    ],
)
def test_what_is_no_call_is_refused_with_advice(source: str, advice: str) -> None:
    with pytest.raises(CommandError, match="go starts a call") as caught:
        parts(source)
    assert str(caught.value).endswith(advice)


@pytest.mark.parametrize("source", ["f(", "f(x) g(y)", ":\n  1 +\n", ":\nnot indented\n"])
def test_what_is_no_python_is_a_syntax_error(source: str) -> None:
    with pytest.raises(SyntaxError):
        parts(source)


def test_a_block_that_yields_would_never_run_and_is_refused() -> None:
    with pytest.raises(CommandError, match="go cannot yield"):
        parts(":\n    yield 1\n")


def test_a_block_is_a_function_with_variables_of_its_own() -> None:
    seen: list[int] = []
    names = {"seen": seen, "total": 100}
    block = calls(":\n    total = i * 2\n    seen.append(total)\n", "<co:1>", names, counted=True)
    for i in range(3):
        call = block(i)
        call.function(*call.args)
    assert seen == [0, 2, 4]
    assert names["total"] == 100


def test_a_block_keeps_the_line_numbers_of_what_was_typed() -> None:
    call = parts(":\n    x = 1\n    raise KeyError(x)\n")
    with pytest.raises(KeyError) as caught:
        call.function(*call.args)
    assert caught.traceback[-1].lineno + 1 == 3


def test_a_block_may_stand_in_one_line() -> None:
    seen: list[int] = []
    call = parts(": seen.append(i)", 4, seen=seen)
    call.function(*call.args)
    assert seen == [4]
