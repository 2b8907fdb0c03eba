"""Commands: declarations, the function form, and the table of them."""

import pytest

from coshell.arg import Arg
from coshell.command import Command, CommandError, CommandTable, UsageError


def _returned(shell, **values):
    return values


def command(*args, name="try_it", **more):
    return Command(name, "try something", _returned, args, **more)


ADDRESS = Arg("address", kind="address")
SIZE = Arg("--size", kind="size")
COUNT = Arg("--count", kind="int", short="-n", default=1)


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: command(name="for"), "cannot be named 'for'"),
        (lambda: command(name="two words"), "cannot be named"),
        (lambda: command(lane="both"), "no lane 'both'"),
    ],
)
def test_a_declaration_that_could_not_work_is_refused(declare, message):
    with pytest.raises(ValueError, match=message):
        declare()


# -- the function form -----------------------------------------------------------------------------


def called(*args, of=(ADDRESS, SIZE, COUNT), **kwargs):
    return command(*of).call(None, args, kwargs)


def test_a_command_is_a_function_too():
    assert called(":80", size="64K", count=2) == {"address": ":80", "size": 65536, "count": 2}
    assert called(":80") == {"address": ":80", "size": None, "count": 1}
    assert called(address=":80")["address"] == ":80"


def test_none_is_what_is_not_given():
    assert called(":80", count=None)["count"] == 1


def test_what_repeats_takes_several_from_python_as_well():
    many = (Arg("first"), Arg("many", repeat=True))
    assert called("a", 1, 2, of=many) == {"first": "a", "many": ("1", "2")}
    assert called("a", many=[1, 2], of=many)["many"] == ("1", "2")
    with pytest.raises(TypeError, match="needs 'many'"):
        called("a", of=many)


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "needs 'address'"),
        ((":80", 1), {}, "takes 1 positional arguments, 2 were given"),
        ((":80",), {"sise": 1}, "no argument 'sise', did you mean 'size'"),
        ((":80",), {"address": 1}, "got 'address' twice"),
    ],
)
def test_a_wrong_call_is_a_type_error(args, kwargs, message):
    with pytest.raises(TypeError, match=message):
        called(*args, **kwargs)


# -- the table -------------------------------------------------------------------------------------


def test_a_name_has_one_owner():
    table = CommandTable()
    table.register(command(name="ps"))
    table.register(command(name="tide", owner="tides"))
    with pytest.raises(CommandError, match="command 'ps' belongs to the shell itself"):
        table.register(command(name="ps", owner="tides"))
    with pytest.raises(CommandError, match="command 'tide' belongs to plugin 'tides'"):
        table.register(command(name="tide", owner="moon"))


def test_a_table_is_sorted_and_names_the_nearest():
    table = CommandTable()
    for name in ("where", "echo"):
        table.register(command(name=name))
    assert table.names() == ["echo", "where"]
    assert [known.name for known in table] == ["echo", "where"]
    assert len(table) == 2
    assert "echo" in table
    with pytest.raises(UsageError, match="no command 'ehco', did you mean 'echo'"):
        table.get("ehco")
    table.unregister("echo")
    table.unregister("echo")
    with pytest.raises(UsageError, match="no command 'echo'; help lists them all"):
        table.get("echo")


def test_the_tail_of_a_line_may_be_left_unsplit():
    assert command(ADDRESS, Arg("call", kind="python")).tail == "python"
    assert command(Arg("words", kind="rest")).tail == "rest"
    assert command(ADDRESS).tail == ""
