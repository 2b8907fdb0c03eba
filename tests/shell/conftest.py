"""Shells to type at, as most tests of commands want them."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme

from tests.certificates import issued
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


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """It vouches for the certificates of tests, and no system trusts it."""
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> SimpleNamespace:
    """A certificate for this machine, its key, both in one, and the authority's."""
    return issued(authority, tmp_path)
