"""What tests of the shell share."""

from collections.abc import Iterator

import pytest

from tests.shell.aside import Aside


@pytest.fixture(scope="module")
def aside() -> Iterator[Aside]:
    """Another process, for shells whose heap must not be that of all tests."""
    with Aside() as process:
        yield process
