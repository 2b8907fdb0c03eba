import threading
from collections.abc import Iterable

import pytest

from coloop import NotRunning, Snapshot
from coshell.lints import Lint
from coshell.monitor import (
    HOG_SILENCE_S,
    MAX_BY_SITE,
    MAX_TOLD,
    Growth,
    HogWatch,
    Monitor,
    Sample,
    Series,
    ServerLine,
    servers_in,
    with_workers,
)
from tests.patience import PATIENCE_S
from tests.shell.pictures import coroutine, process, snapshot, socket


class Facts:
    """Gives out pictures that were prepared, the last one again and again."""

    def __init__(self, *pictures: Snapshot) -> None:
        self.pictures = list(pictures)

    def snapshot(self) -> Snapshot:
        return self.pictures.pop(0) if len(self.pictures) > 1 else self.pictures[0]

    def lints(self) -> Iterable[Lint]:
        return ()

    def segments(self, sample: Sample) -> Iterable[str]:
        return ()


class Clock:
    """Half a second passes from one look to the next."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        self.now_s += 0.5
        return self.now_s


def hogged(id: int = 7, running_for_s: float = 0.6, name: str = "hog") -> Snapshot:
    hog = coroutine(id, name, state="running", running_for_s=running_for_s)
    return snapshot(hog, hog=hog, responsive=False, hog_stack=("<co:1>:1 in <module>", "<co:2>:3 in spin"))


def test_a_rate_is_known_from_the_second_value_on() -> None:
    series = Series()
    series.add(1.0, 1000)
    assert series.rate() is None
    series.add(1.5, 2000)
    assert series.rate() == 2000.0


def test_a_rate_is_taken_over_the_last_ten_samples_only() -> None:
    series = Series()
    for n in range(100):
        series.add(n, 0 if n < 80 else 10 * n)
    assert series.rate() == 10.0


def test_rises_count_the_unbroken_row_at_the_end() -> None:
    series = Series()
    for value in (1, 2, 3, 3, 4, 5):
        series.add(0.0, value)
    assert series.rises == 2


def test_the_growth_of_a_coroutine_that_has_gone_is_forgotten() -> None:
    growth = Growth()
    for n in range(3):
        growth.add(n, snapshot(coroutine(1, heap_bytes=n), coroutine(2, heap_bytes=5 * n)))
    assert growth.rates() == {1: 1.0, 2: 5.0}
    assert growth.rises(2) == 2
    growth.add(3, snapshot(coroutine(1, heap_bytes=3)))
    assert growth.rates() == {1: 1.0}
    assert growth.rises(2) == 0


def test_a_light_picture_changes_no_rate() -> None:
    growth = Growth()
    growth.add(0, snapshot(coroutine(1, heap_bytes=0)))
    growth.add(1, snapshot(coroutine(1, heap_bytes=100)))
    growth.add(2, snapshot(responsive=False))
    assert growth.rates() == {1: 100.0}


def test_a_hog_is_told_of_once_with_its_name_and_place_and_what_to_do() -> None:
    watch = HogWatch()
    lines = [watch.notice(10.0 + n / 2, hogged(running_for_s=0.6 + n / 2)) for n in range(200)]
    assert lines[0] == "co#7 hog has run for 600ms without yielding at <co:2>:3 in spin (kill 7)"
    assert lines[1:] == [None] * 199


def test_who_has_not_run_for_half_a_second_is_no_news() -> None:
    assert HogWatch().notice(10.0, hogged(running_for_s=0.49)) is None


def test_a_hog_that_comes_again_is_told_of_again_but_not_too_soon() -> None:
    watch = HogWatch()
    assert watch.notice(10.0, hogged()) is not None
    assert watch.notice(15.0, hogged()) is None
    assert watch.notice(10.0 + HOG_SILENCE_S, hogged()) is not None


def test_what_was_told_is_remembered_of_a_few_only() -> None:
    watch = HogWatch()
    for id in range(1, 10 * MAX_TOLD):
        assert watch.notice(10.0, hogged(id)) is not None
    assert len(watch._told) <= MAX_TOLD


def test_a_hog_s_name_cannot_reach_the_terminal_raw() -> None:
    line = HogWatch().notice(10.0, hogged(name="\x1b[2J\u202e\nx"))
    assert line is not None
    assert line.isprintable()


def test_a_sample_knows_what_the_looks_before_have_seen() -> None:
    pictures = [snapshot(coroutine(1, heap_bytes=1000 * n)) for n in range(25)]
    monitor = Monitor(Facts(*pictures), pytest.fail, clock=Clock())
    for _ in pictures:
        sample = monitor.sample()
    assert sample.heap_rate == 2000.0
    assert sample.heap_rates == {1: 2000.0}
    assert sample.heap_history == tuple(1000 * n for n in range(17, 25))
    assert [finding.lint for finding in sample.findings] == ["heap-growing"]
    assert sample.rss_bytes > 0
    assert monitor.latest is sample


def test_all_samples_are_remembered_as_curves_and_a_look_adds_to_them_alone() -> None:
    pictures = [snapshot(coroutine(1, heap_bytes=1000 * n), taken_at=n) for n in range(4)]
    monitor = Monitor(
        Facts(*pictures), pytest.fail, clock=Clock(), by_site=lambda _asked: {"a.py:1 in f": 50}
    )
    last = [monitor.sample() for _ in range(3)][-1]
    monitor.look()
    assert [point.value for point in monitor.timeline.heap] == [0, 1000, 2000, 3000]
    assert [trace.name for trace in monitor.timeline.sites()] == ["a.py:1 in f"]
    assert monitor.latest is last


def test_places_of_birth_are_not_asked_for_when_that_would_take_long() -> None:
    crowd = snapshot(coroutine(1), live=MAX_BY_SITE + 1)
    monitor = Monitor(Facts(crowd), pytest.fail, clock=Clock(), by_site=lambda _asked: pytest.fail("asked"))
    monitor.sample()
    assert monitor.timeline.sites() == []


def test_lag_is_the_worst_of_the_last_second() -> None:
    lags = [0.3, 0.001, 0.002, 0.001]
    monitor = Monitor(Facts(*(snapshot(lag_s=lag) for lag in lags)), pytest.fail, clock=Clock())
    assert [monitor.sample().lag_s for _ in lags] == [0.3, 0.3, 0.002, 0.002]


def test_while_the_scheduler_is_hogged_servers_and_stacks_stay_as_last_seen() -> None:
    listening = snapshot(
        coroutine(3, "echo#1"), sockets=(socket("listener", "127.0.0.1:40213", 3),), stack_bytes=5000
    )
    monitor = Monitor(Facts(listening, hogged()), lambda _: None, clock=Clock())
    before, after = monitor.sample(), monitor.sample()
    assert after.snapshot.hog is not None
    assert after.servers == before.servers != ()
    assert (after.stack_bytes, after.stack_frames) == (5000, 1)


def test_a_server_is_shown_with_the_connections_on_its_address() -> None:
    picture = snapshot(
        coroutine(3, "echo#1"),
        sockets=(
            socket("listener", "127.0.0.1:40213", 3),
            socket("server", "127.0.0.1:40213", 4, peer="127.0.0.1:51312"),
            socket("server", "127.0.0.1:9", 4, peer="127.0.0.1:51313"),
            socket("client", "127.0.0.1:51312", 5, peer="127.0.0.1:40213"),
        ),
    )
    assert [(s.name, s.address, s.clients) for s in servers_in(picture)] == [("echo#1", "127.0.0.1:40213", 1)]


def test_the_thread_samples_until_it_is_stopped() -> None:
    sampled = threading.Semaphore(0)
    monitor = Monitor(Facts(snapshot()), pytest.fail, refresh_s=0.1, on_sample=sampled.release)
    monitor.start()
    assert sampled.acquire(timeout=PATIENCE_S)
    assert sampled.acquire(timeout=PATIENCE_S)
    monitor.stop()
    assert not any(thread.name == "coshell monitor" for thread in threading.enumerate())


def test_the_thread_looks_sooner_when_somebody_is_about_to_be_a_hog() -> None:
    monitor = Monitor(Facts(hogged(running_for_s=0.45)), pytest.fail)
    monitor.sample()
    assert monitor._pause_s() == pytest.approx(0.06)


def test_the_thread_ends_with_the_scheduler() -> None:
    class Ended(Facts):
        def snapshot(self) -> Snapshot:
            if threading.current_thread() is threading.main_thread():
                return super().snapshot()
            raise NotRunning("the scheduler has ended")

    monitor = Monitor(Ended(snapshot()), pytest.fail, refresh_s=0.1)
    monitor.start()
    assert monitor._thread is not None
    monitor._thread.join(PATIENCE_S)
    assert not monitor._thread.is_alive()


def test_a_failure_in_a_look_is_told_once_and_the_looking_goes_on() -> None:
    notices: list[str] = []
    sampled = threading.Semaphore(0)

    class Broken(Facts):
        def lints(self) -> Iterable[Lint]:
            if threading.current_thread() is threading.main_thread():
                return ()
            raise ValueError("no \x1b good")

    monitor = Monitor(Broken(snapshot()), notices.append, refresh_s=0.1, on_sample=sampled.release)
    monitor.start()
    for _ in range(3):
        assert sampled.acquire(timeout=PATIENCE_S)
    monitor.stop()
    assert notices == ["the monitor failed: ValueError: no \\x1b good"]


# -- other processes

OWN = ServerLine("echo#1", "127.0.0.1:7000", 4)


def test_all_workers_of_a_server_are_one_line() -> None:
    workers = [
        process("web/w1"),
        process("web/w2", clients=5, sockets=()),
        process("mail/w1", sockets=(), clients=0),
    ]
    assert with_workers([OWN], workers) == [
        OWN,
        ServerLine("web", "127.0.0.1:8080", 6, 2),
        ServerLine("mail", "", 0, 1),
    ]


def test_a_server_of_which_this_process_has_the_listener_is_one_line_too() -> None:
    own = ServerLine("web", "127.0.0.1:9000", 1)
    assert with_workers([own, OWN], [process("web/w1", sockets=())]) == [
        OWN,
        ServerLine("web", "127.0.0.1:9000", 2, 1),
    ]
    same = ServerLine("shell", "127.0.0.1:8080", 0)
    assert with_workers([same], [process("web/w1")]) == [ServerLine("web", "127.0.0.1:8080", 1, 1)]


def test_the_bar_hears_of_workers_also_while_the_scheduler_is_hogged() -> None:
    told = [process("web/w1", clients=1)]
    calm = snapshot(coroutine(2, "s"), sockets=(socket("listener", "127.0.0.1:7000", 2),))
    monitor = Monitor(Facts(calm, hogged()), lambda _: None, clock=Clock(), processes=lambda: told)
    assert [line.name for line in monitor.sample().servers] == ["s", "web"]
    told[0] = process("web/w1", clients=7)
    assert [(line.name, line.clients) for line in monitor.sample().servers] == [("s", 0), ("web", 7)]


def test_names_of_workers_cannot_command_the_terminal() -> None:
    (line,) = with_workers([], [process("\x1b[2J/w1", sockets=(socket("listener", "\x1b[3J"),))])
    assert (line.name, line.address) == (r"\x1b[2J", r"\x1b[3J")


def test_what_is_wrong_with_sockets_is_among_the_findings() -> None:
    deaf = snapshot(
        coroutine(4, "server", waiting_on="sleep 1s"),
        sockets=(socket("listener", "127.0.0.1:7", 4, kernel="LISTEN", waiting=2),),
    )
    sample = Monitor(Facts(deaf), lambda _: None, clock=Clock()).sample()
    assert [(finding.lint, finding.name) for finding in sample.findings] == [("not-accepting", "server")]
