"""Pages that need nothing but themselves: no other file, no network, no font; and nothing in them that obeys a name.

Names, reprs and paths come from whoever was looked at. All of them pass `safe`, and should one ever not do so, the
page's own policy lets the browser run no script but the page's, which it knows by its hash, and fetch nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from coshell.text import printable


def safe(text: object) -> str:
    """A text that is nothing but text, in an element and in an attribute, in HTML and in SVG."""
    return html.escape(printable(str(text), keep=""))


@cache
def resource(name: str) -> str:
    """A style sheet or a script of ours."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def page(title: str, body: Iterable[str], scripts: Iterable[str] = ()) -> str:
    """A whole HTML page.

    Args:
        title: what it is called; any text.
        body: its elements, as markup.
        scripts: the names of ours that it needs.
    """
    code = "\n".join(resource(name) for name in scripts)
    allowed = (
        f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'" if code else "'none'"
    )
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {allowed}"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<link rel="icon" href="data:,">',
            f"<title>{safe(title)}</title>",
            f"<style>\n{resource('page.css')}</style>",
            "</head>",
            "<body>",
            *body,
            *([f"<script>{code}</script>"] if code else []),
            "</body>",
            "</html>",
            "",
        ]
    )
