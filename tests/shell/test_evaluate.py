"""Python in the user's module."""

import linecache
import traceback

import pytest

from coshell import evaluate
from coshell.evaluate import Interpreter


@pytest.fixture
def interpreter():
    made = Interpreter()
    yield made
    made.forget_all()


def test_names_live_from_one_input_to_the_next(interpreter):
    interpreter.run("x = 20")
    interpreter.run("def more(n):\n    return x + n")
    assert interpreter.run("more(2)") == 22
    assert interpreter.evaluate(" more(3) ") == 23


def test_the_value_is_that_of_the_last_expression(interpreter):
    assert interpreter.run("1; 2") == 2
    assert interpreter.run("x = 1\nx + 1") == 2
    assert interpreter.run("x = 1") is None
    assert interpreter.run("") is None
    assert interpreter.run("for x in 'ab':\n    x") is None


def test_no_result_is_kept(interpreter):
    interpreter.run("class Held: pass")
    before = set(interpreter.names)
    interpreter.run("Held()")
    assert set(interpreter.names) == before


def test_what_is_typed_belongs_to_the_module_main(interpreter):
    assert interpreter.run("def f(): pass\nf.__module__") == "__main__"
    assert interpreter.run("__name__ == '__main__'")
    assert vars(interpreter.module) is interpreter.names


def test_a_traceback_shows_the_line_that_was_typed(interpreter):
    interpreter.run("x = 1")
    interpreter.run("def fail():\n    return 1 / 0  # here")
    with pytest.raises(ZeroDivisionError) as raised:
        interpreter.run("fail()")
    frames = traceback.extract_tb(raised.value.__traceback__)[-2:]
    assert [(frame.filename, frame.lineno) for frame in frames] == [("<co:3>", 1), ("<co:2>", 2)]
    assert frames[1].line == "return 1 / 0  # here"


def test_source_text_survives_a_look_at_changed_files(interpreter):
    name = interpreter.remember("x = 1")
    linecache.checkcache()
    assert linecache.getline(name, 1) == "x = 1\n"


def test_the_text_of_the_oldest_inputs_is_forgotten(interpreter, monkeypatch):
    monkeypatch.setattr(evaluate, "MAX_REMEMBERED_BYTES", 2 * (40 + evaluate.INPUT_BYTES))
    names = [interpreter.remember("x" * 40) for _ in range(4)]
    assert [name in linecache.cache for name in names] == [False, False, True, True]


def test_one_input_is_kept_however_long_it_is(interpreter, monkeypatch):
    monkeypatch.setattr(evaluate, "MAX_REMEMBERED_BYTES", 100)
    assert interpreter.remember("x" * 200) in linecache.cache


def test_many_small_inputs_cost_little(interpreter):
    for _ in range(10_000):
        interpreter.remember("x = 1")
    assert len(interpreter._remembered) * evaluate.INPUT_BYTES <= evaluate.MAX_REMEMBERED_BYTES


def test_an_expression_in_a_command_takes_no_number(interpreter):
    interpreter.evaluate("1")
    assert interpreter.remember("") == "<co:1>"


def test_a_function_that_is_put_into_a_command_keeps_its_text(interpreter):
    assert interpreter.put_in("1 + 1") == 2
    function = interpreter.put_in(" lambda: 1 / 0 ")
    assert function.__code__.co_filename == "<co:1>"
    assert linecache.getline("<co:1>", 1) == "lambda: 1 / 0\n"


def test_our_own_future_imports_do_not_reach_the_user(interpreter):
    assert interpreter.run("def f(x: int): pass\nf.__annotations__") == {"x": int}


def test_a_future_import_holds_from_then_on(interpreter):
    interpreter.run("from __future__ import annotations")
    assert interpreter.run("def f(x: int): pass\nf.__annotations__") == {"x": "int"}


def test_a_syntax_error_names_the_input(interpreter):
    with pytest.raises(SyntaxError) as raised:
        interpreter.run("x = = 1")
    assert (raised.value.filename, raised.value.lineno) == ("<co:1>", 1)


def test_in_the_end_nothing_is_held(interpreter):
    interpreter.run("x = 1")
    interpreter.forget_all()
    assert interpreter.names == {}
    assert "<co:1>" not in linecache.cache
