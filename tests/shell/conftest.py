"""Shells to type at, as most tests of commands want them."""

from collections.abc import Iterator

import pytest

from tests.shell.aside import Aside
from tests.shell.sessions import Session, hogged_session, session


@pytest.fixture
def at_prompt() -> Iterator[Session]:
    """One whose clock stands still while nobody waits for it."""
    with session(clock="virtual") as opened:
        yield opened


@pytest.fixture
def hogged() -> Iterator[Session]:
    """One in which a coroutine lets nobody else run."""
    with hogged_session() as opened:
        yield opened


@pytest.fixture(scope="module")
def aside() -> Iterator[Aside]:
    """Another process, for shells whose heap must not be that of all tests."""
    with Aside() as process:
        yield process
