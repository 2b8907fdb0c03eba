"""One line for each place of birth, cheap, from any thread, and honest about what the level does not tell."""

import threading
from collections.abc import Iterator

import pytest

import coloop
from coloop import Channel, SpawnSite, current_scheduler, go, memory, run, serve, sleep, suspend, yield_now
from coloop._scheduler import Scheduler

coroutine = pytest.mark.coroutine


@pytest.fixture(autouse=True)
def default_level() -> Iterator[None]:
    yield
    memory.set_level("counts")


def line_of(function: str) -> SpawnSite:
    return next(line for line in memory.spawn_sites() if line.function == function)


def nap() -> None:
    sleep(2)


def cancel_all() -> None:
    for one in list(current_scheduler().living.values()):
        if one is not coloop.current():
            one.cancel()


@coroutine
def test_those_who_were_born_in_one_place_are_one_line() -> None:
    memory.set_level("heap")
    first, *_ = [go(nap) for _ in range(3)]
    yield_now()
    line = line_of("nap")
    assert (line.live, line.finished, line.spawned, line.waiting) == (3, 0, 3, 3)
    assert line.first_id == first.id
    assert line.site.startswith("test_spawn_sites.py:")
    cancel_all()


@coroutine
def test_two_calls_in_one_line_are_one_place() -> None:
    _ = go(nap), go(nap)
    assert line_of("nap").live == 2
    cancel_all()


@coroutine
def test_what_the_dead_left_stands_with_how_many_they_were() -> None:
    memory.set_level("heap")
    kept: list[bytearray] = []

    def leak() -> None:
        kept.append(bytearray(10_000))

    for _ in range(5):
        go(leak)
    yield_now()
    line = line_of("leak")
    assert (line.live, line.finished, line.spawned) == (0, 5, 5)
    assert line.residue_bytes == pytest.approx(50_000, rel=0.1)
    assert line.live_bytes == 0
    assert line.first_id > 1


@coroutine
def test_the_heap_of_the_living_is_added_up() -> None:
    memory.set_level("heap")

    def hold() -> None:
        kept = bytearray(100_000)
        suspend()
        del kept

    for _ in range(4):
        go(hold)
    yield_now()
    assert line_of("hold").live_bytes == pytest.approx(400_000, rel=0.05)
    cancel_all()


@coroutine
def test_a_level_that_does_not_count_heaps_says_none() -> None:
    memory.set_level("counts")
    go(nap)
    line = line_of("nap")
    assert (line.live_bytes, line.residue_bytes, line.residue_blocks) == (None, None, None)
    cancel_all()


@coroutine
def test_parked_are_those_whom_only_another_coroutine_can_wake() -> None:
    channel: Channel[int] = Channel()

    def receive() -> None:
        channel.receive()

    def receive_for_a_while() -> None:
        channel.receive(timeout=2)

    go(receive)
    go(receive_for_a_while)
    go(nap)
    yield_now()
    found = {line.function: (line.waiting, line.parked) for line in memory.spawn_sites()}
    assert (found["receive"], found["receive_for_a_while"], found["nap"]) == ((1, 1), (1, 0), (1, 0))
    cancel_all()


@coroutine
def test_deferred_calls_are_counted() -> None:
    def piling() -> None:
        for _ in range(7):
            coloop.defer(len, "")
        suspend()

    go(piling)
    yield_now()
    assert line_of("piling").defers == 7
    cancel_all()


@coroutine
def test_the_age_is_that_of_the_oldest() -> None:
    def aged() -> None:
        suspend()

    for _ in range(2):
        go(aged)
        sleep(0.01)
    assert line_of("aged").oldest_s >= 0.02
    cancel_all()


@coroutine
@pytest.mark.parametrize(
    ("names", "function"), [(["worker1", "worker2"], "worker"), (["echo#1/c3"], "echo#1"), (["42"], "42")]
)
def test_numbers_at_the_end_of_names_are_left_out(names: list[str], function: str) -> None:
    for name in names:
        go(nap, name=name)
    assert line_of(function).live == len(names)
    cancel_all()


@coroutine
def test_the_handlers_of_two_servers_have_places_of_their_own() -> None:
    def one(connection: coloop.Socket) -> None:
        connection.recv()

    def other(connection: coloop.Socket) -> None:
        connection.recv()

    servers = [serve("127.0.0.1:0", handler) for handler in (one, other)]
    clients = [coloop.connect(server.address) for server in servers]
    sleep(0.01)
    places = {line.site.partition(" in ")[2] for line in memory.spawn_sites()}
    assert {"one", "other"} <= places
    for client, server in zip(clients, servers, strict=True):
        client.close()
        server.stop()


def test_another_thread_may_ask() -> None:
    found: list[tuple[SpawnSite, ...]] = []

    def main() -> None:
        coloop.go(nap)
        thread = threading.Thread(target=lambda: found.append(memory.spawn_sites()))
        thread.start()
        while thread.is_alive():
            sleep(0.001)
        cancel_all()

    run(main)
    assert {line.function for line in found[0]} >= {"main", "nap"}


def test_another_thread_gets_an_answer_while_somebody_lets_nobody_run() -> None:
    found: list[tuple[SpawnSite, ...]] = []

    def main() -> None:
        coloop.go(nap)
        thread = threading.Thread(target=lambda: found.append(memory.spawn_sites()))
        thread.start()
        thread.join()  # nobody else runs meanwhile
        cancel_all()

    run(main)
    assert {line.function for line in found[0]} >= {"main", "nap"}


@coroutine
def test_the_largest_comes_first() -> None:
    memory.set_level("heap")

    def large() -> None:
        kept = bytearray(5_000_000)
        suspend()
        del kept

    coloop.go(nap)
    coloop.go(large)
    yield_now()
    assert memory.spawn_sites()[0].function == "large"
    cancel_all()


def test_a_scheduler_that_nobody_runs_is_not_waited_for() -> None:
    idle = Scheduler()
    memory.spawn_sites()
    assert not idle.over
    idle._shut_down()


def test_a_place_is_named_by_those_who_run_before_those_who_are_over() -> None:
    """Lines that are typed are all called so, and one of an earlier loop that is not collected yet had another name."""
    kept: list[object] = []
    line = compile("go(lambda: kept.append(bytearray(1000)), name=name)", "<line>", "exec")

    def born(name: str) -> str:
        kept.append(current_scheduler())
        memory.set_level("heap")
        exec(line, {"go": go, "kept": kept, "name": name})
        yield_now()
        return next(each.function for each in memory.spawn_sites() if each.site.startswith("<line>:1"))

    names = [f"the {letter}" for letter in "abcdefghij"]
    assert [run(born, name) for name in names] == names
