"""Looking in passing is cheap, looking for a while is thorough, and both leave out the shell's own."""

import pytest

import coloop
from coshell.leaks.watch import LOOKS, Watch
from tests.shell.sessions import hogged_session, session


@pytest.fixture
def far_prompt(aside):
    with aside.session(clock="virtual") as opened:
        yield opened


class Clock:
    """Real time as the test wants it: every reading takes some."""

    def __init__(self, step_s):
        self.now_s = 0.0
        self.step_s = step_s

    def __call__(self):
        self.now_s += self.step_s
        return self.now_s


def test_a_glance_is_taken_after_every_line(at_prompt):
    before = len(at_prompt.shell.watch.history)
    at_prompt.type("1\n2\n3")
    assert len(at_prompt.shell.watch.history) == before + 3


def test_below_level_heap_nobody_glances():
    with session(level="counts") as opened:
        opened.type("1\n2")
        assert len(opened.shell.watch.history) == 0


def test_what_was_costly_is_not_done_again_before_it_is_earned(at_prompt, monkeypatch):
    monkeypatch.setattr("coshell.leaks.watch.FREE_COROUTINES", 0)
    clock = Clock(0.1)
    watch = Watch(at_prompt.shell, clock)
    for _ in range(5):
        watch.glance()
    assert len(watch.history) == 1
    clock.now_s += 2
    watch.glance()
    assert len(watch.history) == 2


def test_a_crowd_is_not_looked_at_unasked(at_prompt, monkeypatch):
    monkeypatch.setattr("coshell.leaks.watch.MAX_GLANCED", 5)
    at_prompt.type("go -n 6 sleep(60)")
    before = len(at_prompt.shell.watch.history)
    at_prompt.type("1\n2")
    assert len(at_prompt.shell.watch.history) == before


def test_a_few_are_glanced_at_always(at_prompt):
    """However busy the machine is: what a script finds must not depend on that."""
    watch = Watch(at_prompt.shell, Clock(0.1))
    for _ in range(5):
        watch.glance()
    assert len(watch.history) == 5


def watched(opened):
    return opened.shell.bridge.call(opened.shell.watch.watch, 11.0)


def test_a_while_is_divided_evenly_and_each_look_is_thorough(far_prompt):
    seen = far_prompt.do(watched)
    assert len(seen.looks) == LOOKS
    assert [round(look.at_s) for look in seen.looks] == list(range(12))
    assert all(look.collected for look in seen.looks)


def while_the_machine_stands_still(opened):
    """It does so for longer and longer: nobody runs for 1, 2, 3 ... seconds, once in each second that is lived."""
    clock = opened.shell.scheduler.clock

    def stand_still():
        for seconds in range(1, 12):
            coloop.sleep(1)
            clock.skip_to(clock.now() + seconds)

    def watch():
        with coloop.Group() as group:
            group.go(stand_still)
            return opened.shell.watch.watch(11.0)

    return opened.shell.bridge.call(watch)


def test_a_machine_that_stands_still_does_not_make_a_leak_come_to_rest(far_prompt):
    far_prompt.type("cache = []")
    far_prompt.type(
        "def leaky():\n    while True:\n        cache.append(bytearray(4096)); sleep(0.1)\n\ngo leaky()"
    )
    seen = far_prompt.do(while_the_machine_stands_still)
    assert seen.looks[-1].at_s - seen.looks[0].at_s > 60
    assert [look.lived_s for look in seen.looks] == pytest.approx(range(12))
    assert seen.judged()[0].verdict == "LEAK"


def test_what_remembers_the_dead_is_not_suspected_of_keeping_them(far_prompt):
    far_prompt.type("def traffic():\n    while True:\n        go(len, ''); sleep(0.1)\n\ngo traffic()")
    seen = far_prompt.do(watched)
    assert max(line.finished for line in seen.looks[-1].sites.values()) > 90
    assert not [suspect for suspect in seen.suspects if suspect.kind == "deque"]


def test_the_shells_own_is_left_out(at_prompt):
    at_prompt.type("kept = []")
    for _ in range(6):
        at_prompt.type("kept.append(bytearray(50_000))\nsleep(1)")
    seen = at_prompt.shell.bridge.call(at_prompt.shell.watch.now)
    assert at_prompt.shell.scheduler.main.spawned_at in seen.left_out
    assert seen.judged() == []


def test_the_last_of_what_was_seen_in_passing_is_thorough(at_prompt):
    at_prompt.type("1\n2\n3\n4")
    seen = at_prompt.shell.bridge.call(at_prompt.shell.watch.now)
    assert [look.collected for look in seen.looks][-2:] == [False, True]


def test_it_is_known_when_too_little_was_seen(at_prompt):
    watch = at_prompt.shell.watch
    assert watch.knows_too_little()
    at_prompt.type("1\n2\n3\n4\n5")
    assert watch.knows_too_little()
    at_prompt.type("sleep(1)")
    assert not watch.knows_too_little()


def test_somebody_who_lets_nobody_run_can_be_glanced_at():
    with hogged_session() as hogged:
        hogged.shell.watch.glance()
        *_, last = hogged.shell.watch.history
        assert sum(line.live for line in last.sites.values()) == 3


def test_it_holds_nothing_of_what_it_has_seen(far_prompt):
    far_prompt.type(
        "import gc, weakref\nclass Page: pass\npage = Page()\nseen = weakref.ref(page)\ncache = [page]"
    )
    far_prompt.value("leaks(window=1)")
    far_prompt.type("del page, cache")
    assert far_prompt.value("seen() is None")
