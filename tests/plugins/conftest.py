"""What the plugins print is caught, and those that are unloaded are there again for the next test."""

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from coshell.console import Capture


@pytest.fixture
def console() -> Capture:
    return Capture()


@pytest.fixture(autouse=True)
def modules_as_they_were() -> Iterator[None]:
    """A plugin that is unloaded is forgotten, and its classes would be others for the next test."""
    before = plugin_modules()
    yield
    if all(sys.modules.get(name) is module for name, module in before.items()):
        return
    for name in plugin_modules().keys() - before:
        del sys.modules[name]  # it has been imported since, and belongs to the others
    sys.modules.update(before)
    for name, module in before.items():
        package, _, child = name.rpartition(".")
        if package in before:
            setattr(before[package], child, module)


def plugin_modules() -> dict[str, ModuleType]:
    return {
        name: module for name, module in sys.modules.items() if name.partition(".")[0] == "coshell_plugins"
    }
