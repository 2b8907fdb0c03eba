import pytest

from coshell.claims import judge
from coshell.values import Bytes, Duration


class Unhashable(type):
    __hash__ = None


class Odd(metaclass=Unhashable):
    """Nobody can put its class into a set."""

    def __repr__(self):
        return "odd"


def finding(expression, **names):
    return judge(expression, lambda source: eval(source, names))


@pytest.mark.parametrize(
    ("expression", "seen"),
    [
        ("heap < 64 * 1024", "71.2K"),
        ("64 * 1024 > heap", "71.2K"),
        ("heap == other", "71.2K == 64.0K"),
        ("age <= 2", "3s"),
        ("3 < x < 5", "7"),
        ("x not in (7, 8)", "7"),
        ("x in held", "7 in []"),
        ("x is None", "7"),
        ("held", "[]"),
        ("not x", "7"),
        ("x == 7 and held", "held: []"),
        ("x == 8 or held", "x == 8: 7; held: []"),
        ("len(held) == x", "0 == 7"),
        ("'a\\x1b' == held", "[]"),
        ("text == 'b'", "'\\x1b'"),
        ("heap == odd", "71.2K == odd"),
    ],
)
def test_a_claim_that_fails_shows_what_was_seen_and_not_what_stands_there(expression, seen):
    names = {"heap": Bytes(72_909), "other": 65536, "age": Duration(3), "x": 7, "held": [], "text": "\x1b"}
    names["odd"] = Odd()
    found = finding(expression, **names)
    assert not found.holds
    assert found.seen == seen


@pytest.mark.parametrize(
    "expression",
    ["1", "x == 7", "3 < x < 9", "x and True", "False or x", "not None", "x in [7]", "x is not None"],
)
def test_a_claim_that_is_true_holds(expression):
    assert finding(expression, x=7).holds


def test_every_part_is_evaluated_once_and_in_order():
    asked = []

    def ask(value):
        asked.append(value)
        return value

    assert not finding("ask(1) < ask(5) < ask(3) < ask(9)", ask=ask).holds
    assert asked == [1, 5, 3]


def test_what_stands_behind_a_false_and_is_not_touched():
    assert not finding("held and held[0]", held=[]).holds


def test_a_name_bound_in_one_part_is_known_in_the_next():
    assert finding("(n := 3) and n == 3").holds


def test_what_a_part_raises_comes_out():
    with pytest.raises(ZeroDivisionError):
        finding("1 / x == 1", x=0)


def test_a_long_value_is_cut():
    assert len(finding("x == 1", x="a" * 100_000).seen) == 303
