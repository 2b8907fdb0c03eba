"""HTTP/1.1 for apps that are plain functions, and a client: `http start :8080 app`, `http get :8080/`.

def app(request):
    return f"hello, {request.query.get('name', 'world')}"

server start web :8080 {http(app)}
"""

from __future__ import annotations

from coshell.api import Command, Shell, hookimpl
from coshell_plugins.hypertext.errors import HttpError as HttpError
from coshell_plugins.hypertext.errors import Refused as Refused
from coshell_plugins.hypertext.face import http as http
from coshell_plugins.hypertext.limits import Limits as Limits
from coshell_plugins.hypertext.request import Request as Request
from coshell_plugins.hypertext.response import Response as Response

from .commands import COMMAND, stop_all


@hookimpl
def coshell_commands() -> list[Command]:
    """The one command; its name in Python is `http`, which can do more."""
    return [COMMAND]


@hookimpl
def coshell_unloading(shell: Shell) -> list[str]:
    """Stop the servers that were started here, and let go of connections that were kept."""
    return stop_all(shell)
