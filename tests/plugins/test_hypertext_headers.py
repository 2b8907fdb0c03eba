import pytest

from coshell_plugins.hypertext.headers import Headers, encoded


def test_a_name_has_no_case_and_several_values_are_joined() -> None:
    headers = Headers([(b"set-cookie", b"a=1"), (b"Vary", b"x"), (b"set-cookie", b"b=2")])
    assert headers["VARY"] == "x"
    assert headers["Set-Cookie"] == "a=1, b=2"
    assert headers.get_all("SET-cookie") == ["a=1", "b=2"]
    assert list(headers) == ["set-cookie", "vary"]
    assert len(headers) == 2
    assert "vary" in headers
    assert headers.get("host") is None
    assert headers.get_all("host") == []
    assert 1 not in headers


def test_bytes_that_are_no_ascii_are_latin_1() -> None:
    assert Headers([(b"x", b"caf\xe9")])["x"] == "café"
    assert encoded({"X": "café"}) == [(b"x", b"caf\xe9")]


def test_it_is_shown_as_a_mapping() -> None:
    assert repr(Headers([(b"a", b"b")])) == "Headers({'a': 'b'})"


def test_a_mapping_and_pairs_are_headers() -> None:
    assert encoded({"A": 1}) == encoded([("a", "1")]) == encoded([(b"a", b"1")]) == [(b"a", b"1")]  # type: ignore[list-item]


def test_what_latin_1_cannot_say_is_named() -> None:
    with pytest.raises(ValueError, match="header '€' cannot be sent"):
        encoded({"price": "€"})
