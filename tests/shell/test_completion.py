"""What may come next."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coshell.command import Arg, Command, CommandTable
from coshell.completion import World, candidates
from tests.shell.pictures import coroutine, process


@pytest.fixture
def world() -> World:
    commands = CommandTable()
    commands.register(Command("ps", "list", print, (Arg("--tree", kind="flag"), Arg("--sort", kind="text"))))
    commands.register(Command("kill", "end", print, (Arg("ref", kind="coroutine"),)))
    commands.register(Command("nc", "talk", print, (Arg("address", kind="address"),)))
    return World(
        commands=commands,
        names={"payload": "x", "__hidden__": 1},
        coroutines=lambda: [coroutine(1, "shell"), coroutine(7, "leaky"), coroutine(8, "\x1bbad")],
        servers=lambda: ["echo#1"],
        sockets=lambda: ["c"],
    )


def texts(text: str, world: World) -> list[str]:
    return [found.text for found in candidates(text, world)]


def test_a_first_word_may_be_a_command_or_a_name(world: World) -> None:
    assert {"ps", "payload"} <= set(texts("p", world))


def test_behind_a_colon_only_commands_can_stand(world: World) -> None:
    assert texts(":k", world) == ["kill"]


def test_options_are_offered_where_they_can_stand(world: World) -> None:
    assert texts("ps --t", world) == ["--tree"]


def test_coroutines_are_offered_by_name(world: World) -> None:
    assert "leaky" in texts("kill le", world)


def test_a_function_of_the_shells_own_does_not_hide_the_command_of_its_name(world: World) -> None:
    names = {**world.names, "kill": print}
    assert "leaky" in texts("kill le", replace(world, names=names))


def test_a_name_of_the_users_hides_the_command_of_that_name(world: World) -> None:
    names = {**world.names, "kill": print}
    assert "leaky" not in texts("kill le", replace(world, names=names, bound={"kill"}))


def test_a_blank_begins_the_next_argument(world: World) -> None:
    assert "leaky" in texts("kill ", world)


def test_help_is_offered_for_commands_and_settings(world: World) -> None:
    world.commands.register(Command("help", "explain", print, (Arg("name", kind="text"),)))
    found = replace(world, settings=lambda: ["prompt"])
    assert {"ps", "prompt"} <= set(texts("help p", found))


def test_servers_are_offered_where_an_address_is_wanted(world: World) -> None:
    assert "echo#1" in texts("nc ec", world)


def test_attributes_are_offered_and_no_property_is_called(world: World) -> None:
    class Trap:
        plain = 1

        @property
        def planted(self) -> int:
            raise AssertionError("completion called a property")

    assert set(texts("trap.pl", World(world.commands, {"trap": Trap()}, world.coroutines))) == {
        "plain",
        "planted",
    }


def test_nothing_is_offered_for_nonsense(world: World) -> None:
    assert texts("zzzzz", world) == []


def test_coroutines_of_other_processes_are_offered_where_they_can_be_reached(world: World) -> None:
    for name in ("where", "cancel", "join"):
        world.commands.register(
            Command(name, "look", print, (Arg("coroutine", kind="coroutine", repeat=True),))
        )
    there = process("web/w1", coroutine(12, "web/c1"), coroutine(13, "web/c2"))
    world = replace(world, processes=lambda: [there])
    assert texts("where web/", world) == ["web/w1:12", "web/w1:13"]
    assert texts("cancel web/w1:12 web/w1:13", world) == ["web/w1:13"]
    assert {"co#7", "web/w1:12"} <= set(texts("where ", world))
    assert texts("join web/", world) == []


def test_an_object_may_be_a_name_a_coroutine_or_what_is_open(world: World) -> None:
    asks = Command("refs", "who holds it", print, (Arg("object", kind="python"),))
    world.commands.register(asks)
    assert "payload" in texts("refs pay", world)
    assert "leaky" in texts("refs le", world)
    assert "co#7" in texts("refs co", world)
    assert "echo#1" in texts("refs ec", world)


def test_marks_come_behind_mark_and_diff(world: World) -> None:
    world.commands.register(Command("diff", "compare", print, (Arg("before"), Arg("after", optional=True))))
    world = replace(world, marks=lambda: ["before", "after"])
    assert texts("diff be", world) == ["before"]
    assert texts("diff before ", world) == ["before", "after"]


def test_plot_takes_coroutines_and_places_of_birth(world: World) -> None:
    world.commands.register(Command("plot", "draw", print, (Arg("who", kind="coroutine", repeat=True),)))
    known = replace(world, places=lambda: ["demo.cosh:12", "<co:3>:1"])
    assert texts("plot de", known) == ["demo.cosh:12"]
    assert "leaky" in texts("plot leaky demo.cosh:12 le", known)


def test_what_a_place_takes_may_depend_on_the_first_word(world: World) -> None:
    name = Arg("name", kind="server")
    forms = {
        "set": (name, Arg("key", kind="choice", choices=("idle", "framing"))),
        "reload": (name, Arg("handler", kind="value")),
        "list": (),
    }
    action = Arg("action", kind="choice", choices=("set", "reload", "list", "start"))
    args = (action, Arg("name"), Arg("address", kind="address", optional=True), Arg("--all", kind="flag"))
    world.commands.register(Command("server", "serve", print, args, forms=forms))
    assert texts("server set ", world) == ["echo#1"]
    assert texts("server set echo#1 ", world) == ["idle", "framing"]
    assert texts("server --all set echo#1 f", world) == ["framing"]
    assert texts("server reload echo#1 pay", world) == ["payload"]
    assert texts("server start web e", world) == ["echo#1"]
    assert texts("server list ", world) == ["--all", "--json", "--help"]


def test_a_pair_begins_with_a_key_and_goes_on_with_python(world: World) -> None:
    on = Arg("--on", kind="pair", choices=("receive=", "close="))
    world.commands.register(Command("server", "serve", print, (on,)))
    assert texts("server --on ", world) == ["receive=", "close="]
    assert texts("server --on re", world) == ["receive="]
    assert texts("server --on receive=pay", world) == ["payload"]
    assert texts("server --on receive={pay", world) == ["payload"]
