"""Where to listen is declared once, and nothing is open to everybody unless that is asked for."""

import pytest

from coshell.command import CommandError
from coshell.console import Capture
from coshell.listening import ADDRESS, PUBLIC, as_text, checked_address
from coshell.shell import Shell


@pytest.mark.parametrize("address", [":0", "127.0.0.1:80", ("::1", 80), "unix:/run/x", "fd:3"])
def test_what_only_this_machine_reaches_is_taken_as_it_is(address: object) -> None:
    assert checked_address(address, public=False) is address


@pytest.mark.parametrize("address", ["0.0.0.0:80", ("10.0.0.1", 80), "example.org:80"])
def test_what_others_reach_is_asked_for_by_name(address: object) -> None:
    with pytest.raises(
        CommandError, match=f"other machines could connect to {as_text(address)}: give --public"
    ):
        checked_address(address, public=False)
    assert checked_address(address, public=True) is address


def test_what_is_no_address_is_left_to_who_listens() -> None:
    assert checked_address("nonsense", public=False) == "nonsense"


@pytest.mark.parametrize("command", ["serve", "echo", "server", "http"])
def test_the_commands_that_listen_say_so_in_the_same_words(command: str) -> None:
    with Shell(console=Capture()) as shell:
        for plugin in ("server", "http"):
            shell.plugins.load(f"coshell_plugins.{plugin}")
        given = {arg.name: arg for arg in shell.commands.get(command).args}
    assert given["--public"].help.removeprefix("start: ") == PUBLIC.help
    assert command == "http" or given["address"].help == ADDRESS.help  # whose target may also be a URL
