import pickle

import pytest

from coshell_plugins.hypertext.limits import Limits


def test_they_are_those_of_the_table_of_faults() -> None:
    limits = Limits()
    assert (limits.line_bytes, limits.headers, limits.head_s) == (16384, 100, 30)


@pytest.mark.parametrize("name", ["line_bytes", "headers", "head_bytes", "body_bytes", "head_s", "idle_s"])
def test_none_may_let_nothing_through(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be more than 0, not 0$"):
        Limits(**{name: 0})


def test_they_go_to_workers() -> None:
    assert pickle.loads(pickle.dumps(Limits(headers=3))) == Limits(headers=3)
