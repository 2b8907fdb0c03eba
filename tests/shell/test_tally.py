from coshell.shell import Result
from coshell.steps import Step
from coshell.tally import Summary, Tally


def counted(*steps):
    tally = Tally()
    for kind, exit_code in steps:
        tally.count(Step(kind, "", "x.cosh", 1), Result(ok=not exit_code, exit_code=exit_code))
    return tally


def test_claims_are_counted_when_they_hold_and_all_others_when_they_were_run():
    tally = counted(
        ("input", 0), ("set", 0), ("assert", 0), ("wait", 0), ("idle", 0), ("assert", 1), ("input", 1)
    )
    assert (tally.commands, tally.asserts, tally.passed, tally.failed) == (3, 3, 5, 2)


def test_the_gravest_failure_gives_the_exit_code():
    assert counted(("input", 0)).exit_code == 0
    assert counted(("input", 1), ("input", 3), ("set", 2)).exit_code == 3


def test_a_failure_without_an_exit_code_is_one_all_the_same():
    tally = Tally()
    tally.fail(0)
    assert tally.exit_code == 1


def test_a_total_adds_what_adds_up_and_keeps_the_largest_of_what_does_not():
    total = Summary()
    total.add(Summary(counted(("input", 0)), 1, 0.5, None, 5, 2, 4, 1, 100, 300, 20))
    total.add(Summary(counted(("input", 1)), 1, 0.25, 10.0, 3, 1, 3, 0, 50, 900, 10))
    facts = total.facts()
    assert facts["passed"] == facts["failed"] == facts["exit"] == 1
    assert facts["seconds"] == 0.75
    assert facts["virtual_seconds"] == 10
    assert facts["coroutines"] == {"spawned": 8, "live": 3, "peak": 4, "failed": 1}
    assert facts["heap"] == {"live": 150, "peak": 900}
    assert facts["switches"] == 30
    assert facts["files"] == 2
