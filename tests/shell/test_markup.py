"""Pages need nothing but themselves, and obey nobody."""

from __future__ import annotations

import base64
import hashlib
import re

from coshell.pictures.markup import page, resource, safe

EVIL = '</script><script>alert(1)</script><img src=x onerror="alert(1)">\'&\x1b[2J\u202e\ud800'


def test_nothing_in_a_text_is_markup_or_invisible() -> None:
    shown = safe(EVIL)
    assert not set("<>\"'") & set(shown)
    assert shown.isprintable()
    shown.encode()


def test_only_our_own_script_may_run_and_nothing_may_be_fetched() -> None:
    made = page("t", ["<p>x</p>"], ("flame.js",))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', made)
    (script,) = re.findall(r"<script>(.*?)</script>", made, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert script == resource("flame.js")


def test_a_page_without_scripts_lets_none_run() -> None:
    made = page("t", [])
    assert "script-src 'none'" in made
    assert "<script" not in made


def test_a_title_is_text() -> None:
    assert page(EVIL, []).count("<script") == 0


def test_no_page_knows_an_address_in_the_network() -> None:
    made = page("t", [], ("flame.js",))
    assert not re.search(r"https?:|//[a-z]|url\(|@import", re.sub(r"^\s*//.*$", "", made, flags=re.MULTILINE))


def test_it_is_readable_on_a_phone_and_in_the_dark() -> None:
    made = page("t", [])
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in made
    assert "prefers-color-scheme: dark" in made
