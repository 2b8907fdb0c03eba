"""From words to values."""

import pytest

from coshell.arg import Arg
from coshell.command import Command
from coshell.command_error import HelpAsked, UsageError


def _returned(shell, **values):
    return values


def command(*args, name="try_it", **more):
    return Command(name, "try something", _returned, args, **more)


def parsed(text, *args, names=None):
    values = command(*args).parse(text, lambda source: eval(source, names or {}))
    values.pop("json")
    return values


ADDRESS = Arg("address", kind="address")
SIZE = Arg("--size", kind="size")
COUNT = Arg("--count", kind="int", short="-n", default=1)
AS = Arg("--as", kind="name")


# -- values ----------------------------------------------------------------------------------------


def test_positional_arguments_come_in_their_order():
    assert parsed("a b", Arg("first"), Arg("second")) == {"first": "a", "second": "b"}


def test_options_may_stand_anywhere():
    wanted = {"address": ":80", "size": 65536, "count": 3}
    assert parsed("--size 64K :80 -n 3", ADDRESS, SIZE, COUNT) == wanted
    assert parsed(":80 --count=3 --size=64K", ADDRESS, SIZE, COUNT) == wanted


@pytest.mark.parametrize(
    ("kind", "typed", "value"),
    [
        ("text", "64K", "64K"),
        ("int", "-7", -7),
        ("size", "2M", 2 * 1024 * 1024),
        ("duration", "300ms", 0.3),
        ("name", "leaky", "leaky"),
    ],
)
def test_a_word_becomes_what_its_kind_says(kind, typed, value):
    assert parsed(typed, Arg("given", kind=kind)) == {"given": value}


def test_a_path_is_found_from_the_home_directory(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert str(parsed("~/x", Arg("file", kind="path"))["file"]) == "/home/somebody/x"


def test_what_is_not_given_has_its_default():
    args = (Arg("first", optional=True), COUNT, Arg("--all", kind="flag"), Arg("--tag", repeat=True))
    assert parsed("", *args) == {"first": None, "count": 1, "all": False, "tag": ()}


def test_what_repeats_is_a_tuple():
    assert parsed("a b --tag x --tag y", Arg("many", repeat=True), Arg("--tag", repeat=True)) == {
        "many": ("a", "b"),
        "tag": ("x", "y"),
    }


def test_an_object_that_is_put_in_stays_what_it_is():
    held = object()
    for typed in ("$it", "{it}"):
        assert parsed(typed, ADDRESS, names={"it": held})["address"] is held


def test_an_expression_within_a_word_becomes_text():
    assert parsed(":{8000 + n}", ADDRESS, names={"n": 80}) == {"address": ":8080"}
    assert parsed('"{n}"', ADDRESS, names={"n": 80}) == {"address": "80"}


def test_an_expression_for_a_number_may_be_a_number():
    assert parsed("--size {2 * n}", SIZE, names={"n": 8}) == {"size": 16}


def test_as_at_the_end_is_an_option():
    assert parsed(":80 as c", ADDRESS, AS) == {"address": ":80", "as_": "c"}


def test_as_before_an_option_is_one_too():
    assert parsed(":80 as c --size 8", ADDRESS, AS, SIZE) == {"address": ":80", "as_": "c", "size": 8}
    with pytest.raises(UsageError, match="'as' is one argument too many"):
        parsed(":80 as c d", ADDRESS, AS)


def test_as_is_a_word_where_there_is_no_such_option():
    assert parsed("x as y", Arg("words", repeat=True)) == {"words": ("x", "as", "y")}


def test_behind_two_dashes_nothing_is_an_option():
    assert parsed("-- --size", Arg("text")) == {"text": "--size"}


def test_a_quoted_word_is_no_option():
    assert parsed("'--size'", Arg("text"), SIZE) == {"text": "--size", "size": None}


def test_negative_numbers_are_values():
    assert parsed("-5", Arg("n", kind="int")) == {"n": -5}


# -- Python behind a command -----------------------------------------------------------------------

CALL = Arg("call", kind="python")


def test_source_code_is_left_as_it_is():
    source = "f(x, '--count', {1: -2})"
    assert parsed(source, CALL, COUNT) == {"call": source, "count": 1}


def test_options_stand_before_and_behind_source_code():
    wanted = {"call": "f(-n)", "count": 1000, "as_": "a"}
    assert parsed("-n 1000 f(-n) --as a", CALL, COUNT, AS) == wanted


def test_a_block_belongs_to_its_command():
    assert parsed(":\n    f()\n    g(- n)", CALL, COUNT) == {"call": ":\n    f()\n    g(- n)", "count": 1}
    assert parsed("-n 3:\n    f(i)", CALL, COUNT) == {"call": ":\n    f(i)", "count": 3}


def test_a_call_may_go_on_in_the_next_line():
    assert parsed("f(1,\n  2)", CALL)["call"] == "f(1,\n  2)"


def test_words_may_stand_before_source_code():
    assert parsed(":80 lambda c: c.send(b'x')", ADDRESS, CALL) == {
        "address": ":80",
        "call": "lambda c: c.send(b'x')",
    }


# -- misuse ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "try_it: ADDRESS is missing: usage: try_it ADDRESS [--size SIZE] [-n N] [--json]"),
        (":80 :81", "':81' is one argument too many"),
        (":80 --sise 1", "no option '--sise', did you mean '--size'?"),
        (":80 --size", "--size needs a value (SIZE)"),
        (":80 --size x", "not a size: 'x'"),
        (":80 -n 1.5", "'1.5' is not a whole number"),
        (":80 -n 1 -n 2", "--count is given twice"),
        (":80 --json=1", "--json takes no value"),
        ("'x", "quote opened here is never closed"),
    ],
)
def test_misuse_is_told_in_one_line(typed, message):
    with pytest.raises(UsageError) as raised:
        parsed(typed, ADDRESS, SIZE, COUNT)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


def test_a_choice_names_the_nearest():
    with pytest.raises(UsageError, match="'laod' is none of load, unload, did you mean 'load'"):
        parsed("laod", Arg("action", kind="choice", choices=("load", "unload")))


def test_what_an_expression_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        parsed("{1 / 0}", ADDRESS)


@pytest.mark.parametrize("typed", ["--help", "-h", ":80 --help"])
def test_help_can_be_asked_for_anywhere(typed):
    with pytest.raises(HelpAsked):
        parsed(typed, ADDRESS)


# -- pairs -----------------------------------------------------------------------------------------

ON = Arg("--on", kind="pair", repeat=True)


def test_what_is_put_into_a_pair_stays_the_object_that_it_is():
    text = "--on close=leave --on receive={payload} --on 'start={payload}' --on 'connect'={payload}"
    assert parsed(text, ON, names={"payload": [1]}) == {
        "on": ("close=leave", {"receive": [1]}, "start={payload}", "connect=[1]")
    }


def test_a_whole_mapping_may_be_put_in():
    assert parsed("--on {payload}", ON, names={"payload": {"close": 1}}) == {"on": ({"close": 1},)}
