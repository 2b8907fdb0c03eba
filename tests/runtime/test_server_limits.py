import errno
import resource

import pytest

from coloop._server_limits import SPARE_DESCRIPTORS, advice, connection_limit, file_limit


@pytest.mark.parametrize(
    ("files", "asked", "limit"),
    [
        (1000, None, 1000 - SPARE_DESCRIPTORS),
        (1000, 10, 10),
        (1000, 10_000, 1000 - SPARE_DESCRIPTORS),
        (100, None, 50),  # where the reserve would leave next to nothing
        (resource.RLIM_INFINITY, None, None),
        (resource.RLIM_INFINITY, 10_000, 10_000),
    ],
)
def test_the_limit_leaves_descriptors_for_others(
    monkeypatch: pytest.MonkeyPatch, files: int, asked: int | None, limit: int | None
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert connection_limit(asked) == limit


def test_a_limit_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="max_connections must be 1 or more, not 0"):
        connection_limit(0)


def test_only_a_limit_of_our_own_is_advised_to_be_raised() -> None:
    assert advice(errno.EMFILE) == f" (limit {file_limit()}; raise it with ulimit -n)"
    assert advice(errno.ENFILE) == advice(None) == ""
