import pytest

from coshell_plugins.hypertext.errors import HttpError
from coshell_plugins.hypertext.url import parse_url


@pytest.mark.parametrize(
    ("text", "whole", "host", "port", "target"),
    [
        ("http://host", "http://host/", "host", 80, "/"),
        ("https://Host:8443/a?b=c#d", "https://host:8443/a?b=c", "host", 8443, "/a?b=c"),
        (":8080/x", "http://127.0.0.1:8080/x", "127.0.0.1", 8080, "/x"),
        ("host/x", "http://host/x", "host", 80, "/x"),
        ("http://[::1]:80/", "http://[::1]/", "::1", 80, "/"),
        ("http://[::1]:8080?q", "http://[::1]:8080/?q", "::1", 8080, "/?q"),
        ("http://x/é?q=ü", "http://x/%C3%A9?q=%C3%BC", "x", 80, "/%C3%A9?q=%C3%BC"),
        ("http://x/%41%2f", "http://x/%41%2f", "x", 80, "/%41%2f"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/", "xn--bcher-kva.example", 80, "/"),
    ],
)
def test_a_url_is_taken_apart(text: str, whole: str, host: str, port: int, target: str) -> None:
    url = parse_url(text)
    assert (str(url), url.host, url.port, url.target) == (whole, host, port, target)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no URL"),
        ("http://a b/", "is no URL"),
        ("http://a/\r\nX: y", "is no URL"),
        ("http://a/\x1b[2J", "is no URL"),
        ("ftp://host/", "only http and https can be asked for, not ftp"),
        ("file:///etc/passwd", "only http and https can be asked for, not file"),
        ("http:///x", "there is no host in it"),
        ("http://host:99999/", "out of range"),
        ("http://host:x/", "x"),
        ("http://user:secret@host/", "ends up in logs"),
        ("http://[::1/", "Invalid IPv6"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_one_line_without_a_secret(text: str, why: str) -> None:
    with pytest.raises(HttpError) as caught:
        parse_url(text)
    assert why in str(caught.value)
    assert str(caught.value).isprintable()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("location", "leads_to"),
    [
        ("/b", "http://host:81/b"),
        ("b?x", "http://host:81/a/b?x"),
        ("//other/c", "http://other/c"),
        ("https://other", "https://other/"),
    ],
)
def test_a_redirect_leads_on_from_where_it_was_given(location: str, leads_to: str) -> None:
    assert str(parse_url("http://host:81/a/x").joined(location)) == leads_to


def test_ports_and_schemes_make_an_origin() -> None:
    assert parse_url("http://a:80/x").origin == parse_url("http://A/y").origin
    assert parse_url("http://a/").origin != parse_url("https://a/").origin
