"""What is to be done about workers, in virtual time: nothing is started here, and nothing waits."""

import random

import pytest

from coshell_plugins.server.pool import Action, Drain, GiveUp, Kill, Note, Pool, ReloadFailed, Say, Spawn
from coshell_plugins.serving.rules import Rules


class Play:
    """A pool with a clock, and workers that do what the test says."""

    def __init__(self, size: int = 2, rules: Rules | None = None, seed: int = 1) -> None:
        self.pool = Pool(size, rules or Rules(), random.Random(seed))
        self.now = 100.0
        self.actions: list[Action] = []
        self.spawns = 0
        self.done(self.pool.start(self.now))

    def done(self, actions: list[Action]) -> list[Action]:
        self.spawns += sum(isinstance(action, Spawn) for action in actions)
        self.actions += actions
        return actions

    def of(self, kind: type) -> list:
        return [action for action in self.actions if isinstance(action, kind)]

    def said(self) -> list[str]:
        return [action.text for action in self.of(Say)]

    def starting(self) -> list[int]:
        return [one.serial for one in self.pool.workers.values() if one.state == "starting"]

    def ready(self, *serials: int) -> None:
        for serial in serials or tuple(self.starting()):
            self.done(self.pool.spawned(serial, 1000 + serial))
            self.done(self.pool.ready(serial, self.now))

    def begun(self) -> None:
        """The first one serves, and then the others."""
        self.ready()
        self.ready()

    def died(
        self, serial: int, how: str = "killed by SIGKILL (out of memory?)", *, in_order: bool = False
    ) -> None:
        self.done(self.pool.died(serial, how, self.now, in_order=in_order))

    def drained_end(self) -> None:
        """Those who were told to drain end in order."""
        for serial in [
            one.serial for one in self.pool.workers.values() if one.state in {"draining", "killed"}
        ]:
            self.died(serial, "ended by itself", in_order=True)

    def passed(self, seconds: float) -> None:
        """Time goes on, from one deadline to the next."""
        until = self.now + seconds
        while (deadline := self.pool.next_deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.done(self.pool.tick(self.now))
        self.now = until
        self.done(self.pool.tick(self.now))

    def reborn(self, number: int) -> None:
        """The one there dies, and the next one serves."""
        current = self.pool.latest(number)
        if current is None:
            return
        self.died(current.serial)
        while self.pool.state == "running" and not self.starting():
            self.passed(0.05)
        self.ready()

    def reload(self) -> int:
        generation, actions = self.pool.reload(self.now)
        self.done(actions)
        return generation

    def rolled(self) -> None:
        """New ones get ready, old ones end, until nobody comes or goes."""
        for _ in range(100):
            if not self.starting():
                break
            self.ready()
            self.drained_end()

    def numbers(self) -> list[tuple[int, int]]:
        return [(one.number, one.generation) for one in self.pool.serving()]


@pytest.fixture
def play() -> Play:
    """Two workers that serve, and have done so for a while."""
    play = Play()
    play.begun()
    play.passed(2.0)
    play.actions.clear()
    return play


# -- start


def test_it_starts_as_many_as_are_wanted_and_runs_when_all_serve() -> None:
    play = Play(3)
    play.ready(1)
    assert [action.number for action in play.of(Spawn)] == [1, 2, 3]
    play.ready(2)
    assert play.pool.state == "starting"
    play.ready(3)
    assert play.pool.state == "running"
    assert play.pool.settled


def test_the_first_one_comes_alone_so_that_what_it_does_is_done_before_anybody_serves() -> None:
    play = Play(3)
    assert [(action.number, action.first) for action in play.of(Spawn)] == [(1, True)]
    play.ready(1)
    assert [(action.number, action.first) for action in play.of(Spawn)[1:]] == [(2, False), (3, False)]


def test_when_the_first_one_dies_the_next_one_is_the_first() -> None:
    play = Play(2)
    play.died(1, "ended with exit code 1")
    play.passed(1.0)
    assert [(action.serial, action.first) for action in play.of(Spawn)] == [(1, True), (2, True)]
    play.begun()
    assert play.pool.settled
    play.reload()
    play.rolled()
    assert [action.first for action in play.of(Spawn)[2:]] == [False] * 3


def test_one_that_hangs_as_the_first_holds_the_others_up_for_as_long_as_it_may() -> None:
    play = Play(2)
    play.passed(31.0)
    assert [(action.number, action.first) for action in play.of(Spawn)] == [(1, True), (1, True)]
    play.begun()
    assert play.pool.state == "running"


def test_what_cannot_serve_at_the_start_ends_everything_at_once() -> None:
    play = Play(2)
    play.ready(1)
    play.done(play.pool.refused(2, "ModuleNotFoundError: No module named 'nope'", play.now))
    assert play.pool.state == "failed"
    assert play.pool.why == "ModuleNotFoundError: No module named 'nope'"
    assert [action.serial for action in play.of(Drain)] == [1]
    play.died(2)
    play.drained_end()
    assert play.pool.over
    assert play.spawns == 2


def test_who_does_not_begin_to_serve_in_time_is_killed_and_tried_again() -> None:
    play = Play(1)
    play.passed(30.0)
    assert [action.serial for action in play.of(Kill)] == [1]
    assert play.said() == ["worker 1 did not begin to serve within 30 s"]
    play.passed(1.0)
    assert play.spawns == 2


# -- deaths


def test_who_dies_is_named_and_replaced_after_a_tenth_of_a_second(play: Play) -> None:
    play.died(2)
    assert play.said() == ["worker 2 (pid 1002) killed by SIGKILL (out of memory?)"]
    play.passed(0.09)
    assert play.of(Spawn) == []
    play.passed(0.02)
    assert [(action.number, action.serial) for action in play.of(Spawn)] == [(2, 3)]
    assert play.pool.restarts == 1


def test_the_pause_doubles_with_each_death_in_the_same_place(play: Play) -> None:
    pauses = []
    for _ in range(4):
        play.died(play.pool.latest(2).serial)
        died_at = play.now
        while not play.starting():
            play.passed(0.01)
        pauses.append(round(play.now - died_at, 1))
        play.ready()
        play.passed(2.0)
    assert pauses == [0.1, 0.2, 0.4, 0.8]


def test_the_pause_is_never_longer_than_half_a_minute(play: Play) -> None:
    for _ in range(12):
        play.died(play.pool.latest(1).serial)
        before = play.now
        deadline = play.pool.next_deadline()
        play.passed(deadline - play.now)
        play.ready()
        longest = deadline - before
        play.passed(2.0)
    assert longest == pytest.approx(30.0)


def test_who_has_lived_for_half_a_minute_is_forgiven_all_earlier_deaths(play: Play) -> None:
    for _ in range(3):
        play.died(play.pool.latest(1).serial)
        play.passed(1.0)
        play.ready()
        play.passed(2.0)
    play.passed(31.0)
    play.died(play.pool.latest(1).serial)
    assert play.pool.next_deadline() == pytest.approx(play.now + 0.1)


def test_five_short_lives_in_a_row_are_enough() -> None:
    play = Play(1)
    for _ in range(5):
        play.ready()
        play.passed(0.5)
        play.died(max(play.pool.workers), "killed by SIGSEGV")
        play.passed(5.0)
    assert play.pool.state == "failed"
    assert play.pool.over
    assert play.spawns == 5
    (given_up,) = play.of(GiveUp)
    assert given_up.why == (
        "5 workers in a row lived less than 1 s; the last: "
        "worker 1 (pid 1005) killed by SIGSEGV 0.5 s after it began to serve"
    )
    play.passed(100.0)
    assert play.spawns == 5


def test_those_who_die_before_they_serve_count_as_short_lives_too() -> None:
    play = Play(2)
    while play.pool.state == "starting" and play.spawns < 50:
        for serial in play.starting():
            play.died(serial, "ended with exit code 1")
        play.passed(10.0)
    assert play.pool.state == "failed"
    assert play.spawns <= 8


def test_one_life_of_a_second_begins_the_count_anew() -> None:
    play = Play(1)
    play.ready()
    for _ in range(3):
        for _ in range(4):
            play.reborn(1)
        play.passed(1.1)
    assert play.pool.state == "running"
    for _ in range(4):
        play.reborn(1)
    assert play.pool.state == "running"
    play.reborn(1)
    play.reborn(1)
    assert play.pool.state == "failed"


def test_a_crash_loop_in_one_place_ends_the_others_as_well_with_time_to_drain(play: Play) -> None:
    while play.pool.state == "running":
        play.reborn(2)
    assert play.pool.state == "failed"
    assert [action for action in play.of(Drain) if action.serial == 1] == [Drain(1, 3.0)]


# -- reload


def test_a_reload_replaces_one_after_the_other_the_new_one_first(play: Play) -> None:
    play.reload()
    assert [(action.number, action.generation) for action in play.of(Spawn)] == [(1, 2)]
    assert play.of(Drain) == []
    play.ready()
    assert [action.serial for action in play.of(Drain)] == [1]
    assert [(action.number, action.generation) for action in play.of(Spawn)] == [(1, 2), (2, 2)]
    play.rolled()
    assert play.numbers() == [(1, 2), (2, 2)]
    assert play.said() == []


def test_at_every_moment_of_a_reload_as_many_serve_as_are_wanted(play: Play) -> None:
    play.reload()
    while play.starting():
        assert len(play.pool.serving()) == 2
        play.ready()
        assert len(play.pool.serving()) == 2
        play.drained_end()


def test_a_reload_is_over_when_the_last_old_one_is_gone(play: Play) -> None:
    generation = play.reload()
    play.ready()
    play.ready()
    assert not play.pool.reloaded(generation)
    play.drained_end()
    assert play.pool.reloaded(generation)


def test_ten_reloads_at_once_are_one_more(play: Play) -> None:
    generations = [play.reload() for _ in range(10)]
    play.rolled()
    assert play.spawns - 2 == 2 + 1  # the first had begun with one of two workers when the others came
    assert play.numbers() == [(1, generations[-1]), (2, generations[-1])]
    assert all(play.pool.reloaded(one) for one in generations)


def test_a_version_that_cannot_serve_replaces_nobody(play: Play) -> None:
    generation = play.reload()
    play.done(play.pool.refused(3, "NameError: name 'x' is not defined", play.now))
    play.died(3)
    assert play.numbers() == [(1, 1), (2, 1)]
    assert play.said() == ["reload failed, the old workers stay: NameError: name 'x' is not defined"]
    with pytest.raises(ReloadFailed, match="NameError"):
        play.pool.reloaded(generation)
    play.passed(100.0)
    assert play.spawns == 3


def test_a_version_that_crashes_at_birth_replaces_nobody_either(play: Play) -> None:
    generation = play.reload()
    play.died(3, "killed by SIGSEGV")
    with pytest.raises(ReloadFailed, match="worker 1 killed by SIGSEGV before it could serve"):
        play.pool.reloaded(generation)
    assert play.pool.state == "running"


def test_after_a_failed_reload_the_dead_are_replaced_by_what_was_good(play: Play) -> None:
    play.reload()
    play.done(play.pool.refused(3, "broken", play.now))
    play.died(3)
    play.died(2)
    play.passed(1.0)
    assert play.of(Spawn)[-1].generation == 1


def test_after_a_failed_reload_the_next_one_may_succeed(play: Play) -> None:
    bad = play.reload()
    play.done(play.pool.refused(3, "broken", play.now))
    play.died(3)
    good = play.reload()
    play.rolled()
    assert play.pool.reloaded(good)
    with pytest.raises(ReloadFailed):
        play.pool.reloaded(bad)


def test_one_that_hangs_at_a_reload_is_killed_and_that_is_said(play: Play) -> None:
    play.reload()
    play.ready()
    play.passed(3.9)
    assert play.of(Kill) == []
    play.passed(0.2)
    assert play.of(Kill) == [Kill(1)]
    assert play.said() == ["worker 1 (pid 1001) did not end within 3 s and was killed"]


def test_an_old_one_that_dies_while_its_successor_starts_is_not_replaced_twice(play: Play) -> None:
    play.reload()
    play.died(1)
    play.passed(5.0)
    assert len([action for action in play.of(Spawn) if action.number == 1]) == 1


# -- limits


def test_who_has_served_enough_is_replaced_the_new_one_first(play: Play) -> None:
    play = Play(2, Rules(max_requests=100))
    play.begun()
    play.actions.clear()
    assert play.done(play.pool.reported(1, 99, None, play.now)) == []
    play.done(play.pool.reported(1, 110, None, play.now))
    assert [action.number for action in play.of(Spawn)] == [1]
    assert play.of(Drain) == []
    play.ready()
    assert [action.serial for action in play.of(Drain)] == [1]


def test_each_may_serve_up_to_a_tenth_more_so_that_they_do_not_go_at_once() -> None:
    def limits_of_all() -> list[int]:
        play = Play(50, Rules(max_requests=1000))
        play.begun()
        return [action.max_requests for action in play.of(Spawn)]

    limits = limits_of_all()
    assert min(limits) >= 1000
    assert max(limits) <= 1100
    assert len(set(limits)) > 25
    assert limits == limits_of_all()


def test_those_who_have_served_enough_at_the_same_time_go_one_after_the_other() -> None:
    play = Play(3, Rules(max_requests=10))
    play.begun()
    play.actions.clear()
    for serial in (1, 2, 3):
        play.done(play.pool.reported(serial, 50, None, play.now))
    assert len(play.of(Spawn)) == 1
    play.ready()
    assert len(play.of(Spawn)) == 2
    play.rolled()
    assert [one.serial for one in play.pool.serving()] == [4, 5, 6]


def test_who_holds_too_much_is_replaced() -> None:
    play = Play(1, Rules(max_memory=1000))
    play.ready()
    play.actions.clear()
    assert play.done(play.pool.reported(1, 5, 1000, play.now)) == []
    assert play.done(play.pool.reported(1, 5, None, play.now)) == []
    play.done(play.pool.reported(1, 5, 1001, play.now))
    assert len(play.of(Spawn)) == 1


def test_why_one_is_replaced_is_noted_once(play: Play) -> None:
    play.pool.rules = Rules(max_memory=1000)
    for heap in (1001, 1002):
        play.done(play.pool.reported(1, 5, heap, play.now))
    play.ready()
    play.drained_end()
    assert play.of(Note) == [Note("worker 1 (pid 1001) is replaced: it holds 1,001 bytes, 1,000 are allowed")]
    assert play.said() == []


def test_who_has_served_enough_is_noted_too() -> None:
    play = Play(1, Rules(max_requests=10))
    play.ready()
    play.done(play.pool.reported(1, 50, None, play.now))
    assert play.of(Note) == [Note("worker 1 (pid 1001) is replaced: it has served 50 requests")]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_those_who_hold_too_much_from_the_beginning_are_given_up(size: int) -> None:
    play = Play(size, Rules(max_memory=1000))
    while play.pool.state in {"starting", "running"} and play.spawns < 50:
        for serial in play.starting():
            play.ready(serial)
            play.done(play.pool.reported(serial, 0, 3000, play.now))
            play.passed(0.3)
        play.drained_end()
    (given_up,) = play.of(GiveUp)
    assert given_up.why.startswith("5 workers in a row lived less than 1 s; the last: worker ")
    assert given_up.why.endswith("holds 3,000 bytes, 1,000 are allowed, 0.0 s after it began to serve")
    assert play.spawns <= size + 5
    play.drained_end()
    assert play.pool.over


def test_those_who_come_to_hold_too_much_are_replaced_for_ever(play: Play) -> None:
    play.pool.rules = Rules(max_memory=1000)
    for _ in range(20):
        current = play.pool.latest(1)
        assert current is not None
        play.done(play.pool.reported(current.serial, 5, 3000, play.now))
        play.rolled()
        play.passed(1.1)
    assert play.pool.state == "running"


def test_a_successor_that_cannot_serve_is_tried_again_and_the_old_one_goes_on() -> None:
    play = Play(1, Rules(max_requests=10))
    play.ready()
    play.done(play.pool.reported(1, 50, None, play.now))
    for _ in range(20):
        play.done(play.pool.refused(max(play.pool.workers), "disk full", play.now))
        play.died(max(play.pool.workers))
        play.passed(31.0)
    assert [one.serial for one in play.pool.serving()] == [1]
    play.rolled()
    assert [one.serial for one in play.pool.serving()] != [1]


# -- scale and stop


def test_more_are_added_at_the_end_and_fewer_are_taken_from_there(play: Play) -> None:
    play.done(play.pool.scale(4, play.now))
    assert [action.number for action in play.of(Spawn)] == [3, 4]
    play.ready()
    assert play.pool.settled
    play.done(play.pool.scale(1, play.now))
    assert [action.serial for action in play.of(Drain)] == [2, 3, 4]
    assert not play.pool.settled
    play.drained_end()
    assert play.pool.settled


def test_one_that_is_not_wanted_any_more_before_it_serves_is_killed(play: Play) -> None:
    play.done(play.pool.scale(3, play.now))
    play.done(play.pool.scale(2, play.now))
    assert play.of(Kill) == [Kill(3)]
    play.died(3)
    play.passed(60.0)
    assert play.spawns == 3


def test_a_stop_drains_all_and_is_over_when_they_are_gone(play: Play) -> None:
    play.done(play.pool.stop(5.0, play.now))
    assert play.of(Drain) == [Drain(1, 5.0), Drain(2, 5.0)]
    assert play.pool.state == "draining"
    play.died(1)
    assert not play.pool.over
    play.died(2)
    assert play.pool.state == "stopped"
    assert play.pool.over
    play.passed(60.0)
    assert play.spawns == 2


def test_a_second_stop_may_be_less_patient_but_not_more(play: Play) -> None:
    play.done(play.pool.stop(60.0, play.now))
    play.done(play.pool.stop(0.0, play.now))
    assert play.of(Drain)[2:] == [Drain(1, 0.0), Drain(2, 0.0)]
    play.done(play.pool.stop(60.0, play.now))
    play.passed(1.1)
    assert play.of(Kill) == [Kill(1), Kill(2)]


def test_one_that_crashes_while_it_drains_is_told_of(play: Play) -> None:
    play.done(play.pool.stop(5.0, play.now))
    play.died(1, "killed by SIGSEGV")
    play.died(2, "ended by itself", in_order=True)
    assert play.said() == ["worker 1 (pid 1001) killed by SIGSEGV while it drained"]


def test_what_is_to_end_cannot_be_scaled(play: Play) -> None:
    play.done(play.pool.stop(5.0, play.now))
    play.done(play.pool.scale(5, play.now))
    assert play.of(Spawn) == []


def test_nobody_is_replaced_while_all_are_to_stop(play: Play) -> None:
    play.died(1)
    play.done(play.pool.stop(1.0, play.now))
    play.passed(60.0)
    assert play.of(Spawn) == []


# -- chance


@pytest.mark.parametrize("seed", range(40))
def test_whatever_happens_it_comes_to_rest_with_as_many_as_are_wanted(seed: int) -> None:
    """Random deaths, refusals, reloads, scales, in random order; then everything goes well."""
    chance = random.Random(seed)
    play = Play(chance.randint(1, 4), Rules(max_requests=chance.choice([None, 10])), seed)
    play.ready()
    for _ in range(60):
        living = list(play.pool.workers)
        match chance.randrange(7):
            case 0 if living:
                play.died(chance.choice(living), "died")
            case 1 if play.starting():
                play.done(play.pool.refused(play.starting()[0], "broken", play.now))
            case 2:
                play.reload()
            case 3:
                play.done(play.pool.scale(chance.randint(1, 4), play.now))
            case 4 if living:
                play.done(play.pool.reported(chance.choice(living), 100, None, play.now))
            case 5:
                play.drained_end()
            case _:
                play.ready()
        play.passed(chance.choice([0.0, 0.05, 1.5, 40.0]))
        numbers = [one.number for one in play.pool.workers.values() if one.state == "starting"]
        assert len(numbers) == len(set(numbers)), "two start in one place"
        if play.pool.state == "failed":
            break
    for _ in range(60):
        play.ready()
        play.drained_end()
        play.passed(40.0)
    if play.pool.state == "failed":
        assert play.pool.over
    else:
        assert play.pool.settled
        assert [one.number for one in play.pool.serving()] == list(range(1, play.pool.size + 1))
        assert all(one.generation == play.pool.wanted for one in play.pool.serving())
