"""The user's names, and ours among them."""

import pytest

import coloop
from coshell.command import Command, CommandError
from coshell.namespace import CommandFunction, Namespace


@pytest.fixture
def names():
    return {}


@pytest.fixture
def namespace(names):
    return Namespace(names, lambda command, args, kwargs: (command.name, args, kwargs))


def a_command(name="tide"):
    return Command(name, "tell the tide", lambda shell: None)


def test_the_runtimes_names_are_there(names, namespace):
    assert names["go"] is coloop.go
    assert names["coloop"] is coloop
    assert not any(name.startswith("_") for name in names)


def test_a_command_is_a_function_too(names, namespace):
    namespace.commands.register(a_command())
    assert names["tide"]("Brest", high=True) == ("tide", ("Brest",), {"high": True})
    assert repr(names["tide"]) == "<command tide [--json]>"
    assert names["tide"].__doc__.startswith("tide: tell the tide")
    assert names["tide"].__name__ == "tide"


@pytest.mark.parametrize("name", ["go", "sleep", "set", "print"])
def test_the_called_form_is_coloops_or_pythons_where_they_have_the_name(names, namespace, name):
    before = names.get(name)
    namespace.commands.register(a_command(name))
    assert names.get(name) is before


@pytest.mark.parametrize("name", ["help", "quit", "exit"])
def test_builtins_that_would_take_the_keyboard_are_replaced(names, namespace, name):
    namespace.commands.register(a_command(name))
    assert isinstance(names[name], CommandFunction)


def test_every_command_can_be_had_from_co(names, namespace):
    for name in ("go", "tide"):
        namespace.commands.register(a_command(name))
    co = names["co"]
    assert co.go(1) == ("go", (1,), {})
    assert dir(co) == ["go", "tide"]
    assert repr(co) == "<commands as functions: co.NAME(...)>"
    with pytest.raises(AttributeError, match="no command 'tdie', did you mean 'tide'"):
        co.tdie()


def test_a_name_of_the_users_wins(names, namespace):
    names["tide"] = "mine"
    namespace.commands.register(a_command())
    assert names["tide"] == "mine"
    namespace.commands.unregister("tide")
    assert names["tide"] == "mine"


def test_commands_that_go_take_their_names_along(names, namespace):
    namespace.commands.register(a_command())
    namespace.commands.unregister("tide")
    assert "tide" not in names
    namespace.commands.register(a_command())
    names["tide"] = "mine"
    namespace.commands.unregister("tide")
    assert names["tide"] == "mine"


def test_only_what_the_user_has_bound_counts_as_bound(names, namespace):
    namespace.commands.register(a_command())
    assert list(namespace.bound) == []
    assert "tide" not in namespace.bound
    names["tide"] = names["x"] = 1
    names["__secret__"] = 2
    assert list(namespace.bound) == ["tide", "x"]
    assert "tide" in namespace.bound
    del names["tide"]
    assert "tide" not in namespace.bound
    assert 7 not in namespace.bound


def test_a_value_gets_a_name_of_the_users(names, namespace):
    namespace.bind("c", 7)
    assert names["c"] == 7
    for name in ("two words", "for", "1x", ""):
        with pytest.raises(CommandError, match="cannot be a Python name"):
            namespace.bind(name, 7)


def test_a_command_may_have_a_function_that_can_do_more(names, namespace):
    def tide():
        pass

    namespace.commands.register(Command("tide", "tell the tide", lambda shell: None, function=tide))
    assert names["tide"] is tide
    assert "tide" not in namespace.bound
    assert names["co"].tide() == ("tide", (), {})
    namespace.commands.unregister("tide")
    assert "tide" not in names
