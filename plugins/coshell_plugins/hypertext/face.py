"""What `http` means in Python: `http(app)` makes a handler of an app, and `http.get(url)` asks.

The protocol's library takes longer to import than most plugins take to load, so nothing here imports it before
it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import errors as _errors
from . import limits as _limits
from . import request as _request
from . import response as _response

if TYPE_CHECKING:
    from .client import Reply
    from .server import Handler


class Http:
    """`http(app)`: a handler of connections for any server, by an app that answers requests.

    `http.get(url)`, `head`, `post`, `put`, `delete` and `request(method, url)` ask a server.
    """

    Request = _request.Request
    Response = _response.Response
    Limits = _limits.Limits
    Refused = _errors.Refused
    HttpError = _errors.HttpError

    def __call__(
        self, app: Callable[[_request.Request], Any], limits: _limits.Limits | None = None
    ) -> Handler:
        """Make a handler of connections, as for `serve` and `server start`.

        Args:
            app: called with each `Request`; returns str, bytes, dict, list, an iterator (streamed), `(status, body)`,
                `(status, headers, body)` or a `Response`.
            limits: what clients may do.
        """
        from .server import Handler

        return Handler(app, limits)

    def request(self, method: str, url: str, **options: Any) -> Reply:
        """Ask a server; parks until all of its answer is there.

        Args:
            method: such as `GET`.
            url: `http://host/path`, `https://...`, `:8080/path` on this machine.
            **options: `headers data json timeout redirects max_bytes tls`.

        Raises:
            HttpError: what came is too long, no HTTP, or leads nowhere; or the URL is none.
            Timeout: it took too long.
            OSError, Closed: nobody listens there, the connection broke ...
        """
        from .client import request

        return request(method, url, **options)

    def get(self, url: str, **options: Any) -> Reply:
        """As `request`, with GET."""
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Any) -> Reply:
        """As `request`, with HEAD: the answer without its body."""
        return self.request("HEAD", url, **options)

    def post(self, url: str, **options: Any) -> Reply:
        """As `request`, with POST; `data=` or `json=` is what is sent."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> Reply:
        """As `request`, with PUT; `data=` or `json=` is what is sent."""
        return self.request("PUT", url, **options)

    def delete(self, url: str, **options: Any) -> Reply:
        """As `request`, with DELETE."""
        return self.request("DELETE", url, **options)

    def __repr__(self) -> str:
        return "<http(app), http.get(url), http.post(url, data=...): ?http tells more>"


http = Http()
