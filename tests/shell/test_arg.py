"""What an argument becomes."""

from pathlib import Path

import pytest

from coshell.arg import Arg


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("text", 7, "7"),
        ("int", "7", 7),
        ("int", 7.0, 7),
        ("size", "1.5K", 1536),
        ("size", 1536, 1536),
        ("duration", "300ms", 0.3),
        ("duration", 2, 2.0),
        ("flag", 1, True),
        ("path", "a/b", Path("a/b")),
        ("path", Path("a/b"), Path("a/b")),
        ("value", [1], [1]),
        ("coroutine", "co#3", "co#3"),
        ("python", "f(x)", "f(x)"),
    ],
)
def test_what_is_given_becomes_what_the_kind_says(kind, given, value):
    name = "--given" if kind == "flag" else "given"
    assert Arg(name, kind=kind).converted(given) == value


@pytest.mark.parametrize(
    ("kind", "given"), [("int", "x"), ("int", None), ("size", "big"), ("duration", "soon")]
)
def test_what_cannot_become_that_is_refused(kind, given):
    with pytest.raises(ValueError, match=repr(given)):
        Arg("given", kind=kind).converted(given)


def test_a_choice_names_the_nearest():
    arg = Arg("action", kind="choice", choices=("load", "unload"))
    assert arg.converted("load") == "load"
    with pytest.raises(ValueError, match="'laod' is none of load, unload, did you mean 'load'"):
        arg.converted("laod")


def test_without_a_home_a_path_stays_as_it_is(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("os.getuid", lambda: 54321)
    assert Arg("file", kind="path").converted("~/x") == Path("~/x")


@pytest.mark.parametrize(
    ("arg", "key", "absent"),
    [
        (Arg("address"), "address", None),
        (Arg("--memory-limit", kind="size"), "memory_limit", None),
        (Arg("--as"), "as_", None),
        (Arg("--all", kind="flag"), "all", False),
        (Arg("many", repeat=True), "many", ()),
        (Arg("--count", kind="int", default=1), "count", 1),
    ],
)
def test_an_argument_is_a_parameter_of_its_command(arg, key, absent):
    assert (arg.key, arg.absent) == (key, absent)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: Arg("x", kind="number"), "no kind 'number'"),
        (lambda: Arg("x", kind="flag"), "a flag is an option"),
    ],
)
def test_a_declaration_that_could_not_work_is_refused(declare, message):
    with pytest.raises(ValueError, match=message):
        declare()
