"""What the plugins print is caught."""

import pytest

from coshell.console import Capture


@pytest.fixture
def console() -> Capture:
    return Capture()
