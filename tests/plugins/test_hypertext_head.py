import h11
import pytest

from coshell_plugins.hypertext import head
from coshell_plugins.hypertext.head import MAX_KEPT, head_of, reason_of


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000_000_000.5]
    monkeypatch.setattr(head.time, "time", lambda: now[0])
    return now


def told(response: h11.Response) -> list[tuple[bytes, bytes]]:
    return list(response.headers)


def test_it_has_what_every_head_has() -> None:
    made = head_of(404, ((b"x-a", b"b"),), 5, ends=True)
    assert (made.status_code, made.reason) == (404, b"Not Found")
    assert told(made) == [
        (b"x-a", b"b"),
        (b"date", b"Sun, 09 Sep 2001 01:46:40 GMT"),
        (b"server", b"coshell"),
        (b"content-length", b"5"),
        (b"connection", b"close"),
    ]


def test_what_is_not_known_is_not_told() -> None:
    assert [name for name, _ in told(head_of(200, (), None, ends=False))] == [b"date", b"server"]


def test_in_one_second_the_same_is_made_once_and_in_the_next_it_has_another_date(clock: list[float]) -> None:
    first = head_of(200, (), 5, ends=False)
    assert head_of(200, (), 5, ends=False) is first
    clock[0] += 1
    assert dict(told(head_of(200, (), 5, ends=False)))[b"date"].endswith(b"01:46:41 GMT")


def test_what_differs_in_anything_is_another() -> None:
    heads = [
        head_of(200, (), 5, ends=False),
        head_of(201, (), 5, ends=False),
        head_of(200, (), 6, ends=False),
        head_of(200, (), None, ends=False),
        head_of(200, (), 5, ends=True),
        head_of(200, ((b"a", b"b"),), 5, ends=False),
    ]
    assert len({id(each) for each in heads}) == len(heads)


def test_only_so_many_are_kept() -> None:
    for length in range(3 * MAX_KEPT):
        head_of(200, (), length, ends=False)
        assert len(head._kept.heads) <= MAX_KEPT


def test_what_cannot_be_sent_is_an_error_each_time() -> None:
    for _ in range(2):
        with pytest.raises(h11.LocalProtocolError):
            head_of(200, ((b"a", b"b\r\nc: d"),), 5, ends=False)


def test_a_status_of_ones_own_has_no_word() -> None:
    assert (reason_of(299), reason_of(200)) == ("", "OK")
