"""What is open has a name."""

from dataclasses import dataclass

import pytest

from coshell.things import Things


@dataclass(eq=False)
class Held:
    closed: bool = False
    state: str = "open"


def test_each_kind_is_counted_by_itself():
    things = Things()
    assert things.next_name("echo") == "echo#1"
    assert [things.add(kind, Held()).name for kind in ("echo", "client", "echo")] == [
        "echo#1",
        "client#1",
        "echo#2",
    ]
    assert list(things) == ["echo#1", "client#1", "echo#2"]


def test_a_thing_is_found_by_its_name_and_the_name_by_the_thing():
    things, held = Things(), Held()
    thing = things.add("echo", held)
    assert things["echo#1"] is thing
    assert things.name_of(held) == "echo#1"
    assert things.name_of(Held()) is None
    things.remove(held)
    things.remove(held)
    assert "echo#1" not in things


@pytest.mark.parametrize("ended", [{"closed": True}, {"state": "stopped"}, {"state": "closed"}])
def test_what_is_closed_is_forgotten_and_its_number_too(ended):
    things, held = Things(), Held()
    things.add("echo", held)
    for key, value in ended.items():
        setattr(held, key, value)
    assert len(things) == 0
    assert "echo#1" not in things
    assert things.add("echo", Held()).name == "echo#2"


def test_a_server_is_claimed_by_the_address_that_was_asked_for_and_each_once():
    things, servers = Things(), [Held(), Held(), Held(closed=True), Held()]
    for server, asked in zip(servers, (":0", ":0", ":1", ":2"), strict=True):
        things.add("echo", server, asked)
    assert [things.claim(asked, Held) and things.claim(asked, Held) for asked in (":1", ":3")] == [None, None]
    for _ in range(2):
        things.claim_none()
        claimed = [things.claim(":0", Held) for _ in range(3)]
        assert [thing and thing.name for thing in claimed] == ["echo#1", "echo#2", None]
    assert things.claim(":2", str) is None
