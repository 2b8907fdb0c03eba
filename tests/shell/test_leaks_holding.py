"""The way to a container is told as somebody would type it."""

import pytest

from coshell.leaks.holding import holder_of
from tests.shell.sessions import session


@pytest.mark.parametrize(
    ("source", "found", "told"),
    [
        ("kept = []", "kept", "__main__.kept"),
        ("class Session:\n    all = []\n", "Session.all", "__main__.Session.all"),
        ("class App: pass\napp = App()\napp.pages = {}", "app.pages", "__main__.app.pages"),
        ("table = {'open': []}", "table['open']", "__main__.table['open']"),
    ],
)
def test_it_is_found(source, found, told, monkeypatch):
    monkeypatch.setattr("coshell.leaks.holding.LIMIT_S", 30.0)  # however large the heap of the tests is
    with session() as opened:
        opened.type(source)
        assert opened.shell.bridge.call(holder_of, opened.shell, opened.shell.evaluate(found)) == told


def test_what_nobody_holds_has_no_holder():
    with session() as opened:
        assert opened.shell.bridge.call(lambda: holder_of(opened.shell, [])) == ""
