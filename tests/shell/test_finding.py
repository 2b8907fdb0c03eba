"""By what people call a thing, it is found."""

import pytest

import coloop
from coshell.command import CommandError
from coshell.finding import Finder, coroutine, living
from coshell.namespace import Bound
from coshell.things import Things


def in_a_scheduler(test):
    """Runs a test as a coroutine, with what is left cancelled afterwards."""

    def main(*args):
        try:
            test(*args)
        finally:
            for one in living(coloop.current_scheduler()):
                if one is not coloop.current():
                    one.cancel()

    def run(*args):
        coloop.run(main, *args)

    run.__name__ = test.__name__
    return run


@in_a_scheduler
def test_a_coroutine_is_found_by_all_its_names():
    scheduler = coloop.current_scheduler()
    nap = coloop.go(coloop.sleep, 60, name="nap one")
    for ref in (nap, 2, "2", "co#2", " co#2 ", "nap one", "n"):
        assert coroutine(scheduler, {"n": nap}, ref) is nap


@in_a_scheduler
def test_the_living_are_listed_by_id():
    for _ in range(3):
        coloop.go(coloop.sleep, 60)
    coloop.go(int)
    assert [one.id for one in living(coloop.current_scheduler())] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("napp", "no coroutine 'napp', did you mean 'nap'"),
        ("zzz", r"no coroutine 'zzz' \(ps lists them\)"),
        ("two", "2 coroutines are named 'two': co#3, co#4"),
        ("5", r"co#5 brief has ended \(returned"),
        ("99", "no coroutine co#99: there has been none"),
        ("0", "no coroutine co#0: there has been none"),
    ],
)
def test_who_is_not_found_is_told_in_one_line(ref, message):
    @in_a_scheduler
    def look():
        coloop.go(coloop.sleep, 60, name="nap")
        for _ in range(2):
            coloop.go(coloop.sleep, 60, name="two")
        coloop.go(int, name="brief")
        with pytest.raises(CommandError, match=message):
            coroutine(coloop.current_scheduler(), {}, ref)

    look()


@in_a_scheduler
def test_who_ended_long_ago_is_known_to_have_been():
    for _ in range(300):
        coloop.go(int)
    with pytest.raises(CommandError, match="no coroutine co#2: it ended long ago"):
        coroutine(coloop.current_scheduler(), {}, 2)


@in_a_scheduler
def test_of_many_of_one_name_a_few_are_listed():
    for _ in range(10):
        coloop.go(coloop.sleep, 60, name="many")
    with pytest.raises(CommandError, match=r"10 coroutines are named 'many': co#2, .*co#9, \.\.\.$"):
        coroutine(coloop.current_scheduler(), {}, "many")


@in_a_scheduler
def test_sockets_and_servers_are_found_by_name():
    with coloop.serve(("127.0.0.1", 0), lambda c: None) as server, coloop.connect(server.address) as client:
        names = {"s": server, "c": client, "n": 7}
        things = Things()
        things.add("echo", server)
        finder = Finder(names, Bound(names, {}), things)
        assert finder.server("s") is finder.server("echo#1") is finder.server(server) is server
        assert finder.socket("c") is finder.socket(client) is client
        assert finder.address("s") == finder.address(server) == server.address
        assert finder.address("127.0.0.1:80") == "127.0.0.1:80"
        assert finder.address(("127.0.0.1", 80)) == ("127.0.0.1", 80)
        assert finder.address("n") == "n"
        for find, ref, message in (
            (finder.socket, "s", "'s' is no socket but a Server"),
            (finder.server, "n", "'n' is no server but a int"),
            (finder.server, "ecco#1", r"no server 'ecco#1', did you mean 'echo#1'\?"),
            (finder.socket, "zzz", r"no socket 'zzz' \(conns lists them\)"),
        ):
            with pytest.raises(CommandError, match=message):
                find(ref)
