import gc
import weakref

import pytest

import coloop
from coloop.testing import socket_pair
from coshell_plugins.hypertext.link import Link
from coshell_plugins.hypertext.pool import KEPT_S, MAX_KEPT, MAX_KEPT_AT_ALL, Pool, current_pool
from coshell_plugins.hypertext.url import parse_url
from tests.plugins.http_serving import in_coroutine

URL = parse_url("http://host/x")


def link() -> tuple[Link, coloop.Socket]:
    ours, theirs = socket_pair()
    return Link(ours), theirs


def new_pool() -> Pool:
    return Pool(coloop.current_scheduler())


@in_coroutine(mock=True)
def test_what_is_kept_is_taken_by_who_goes_to_the_same_place_on_the_same_terms() -> None:
    pool, (kept, _) = new_pool(), link()
    pool.keep(URL, None, kept)
    for text in ("http://other/x", "http://host:81/x", "https://host:80/x"):
        assert pool.take(parse_url(text), None) is None
    assert pool.take(URL, True) is None
    assert pool.take(parse_url("http://host/another"), None) is kept
    assert pool.take(URL, None) is None


@in_coroutine(mock=True)
def test_the_last_one_goes_first_and_only_so_many_are_kept() -> None:
    pool = new_pool()
    links = [link() for _ in range(MAX_KEPT + 2)]
    for one, _ in links:
        pool.keep(URL, None, one)
    assert len(pool) == MAX_KEPT
    assert links[-1][0].connection.closed
    assert pool.take(URL, None) is links[MAX_KEPT - 1][0]


@in_coroutine(mock=True)
def test_of_many_servers_only_so_many_are_kept_at_all() -> None:
    pool = new_pool()
    links = [link() for _ in range(MAX_KEPT_AT_ALL + 1)]
    for n, (one, _) in enumerate(links):
        pool.keep(parse_url(f"http://host{n}/"), None, one)
    assert len(pool) == MAX_KEPT_AT_ALL
    assert pool.close() == MAX_KEPT_AT_ALL


@pytest.mark.parametrize("how", ["closed", "says something"])
@in_coroutine(mock=True)
def test_one_that_its_server_has_spoilt_is_not_given_out(how: str) -> None:
    pool, (kept, theirs) = new_pool(), link()
    pool.keep(URL, None, kept)
    theirs.close() if how == "closed" else theirs.sendall(b"HTTP/1.1 408 Timeout")
    assert pool.take(URL, None) is None
    assert kept.connection.closed


@in_coroutine(mock=True)
def test_what_nobody_takes_is_closed_after_a_while() -> None:
    pool, (kept, theirs) = new_pool(), link()
    pool.keep(URL, None, kept)
    coloop.sleep(KEPT_S - 1)
    assert not kept.connection.closed
    assert theirs.recv() == b""
    assert len(pool) == 0
    assert coloop.current_scheduler().clock.now() < KEPT_S + 5


@in_coroutine(mock=True)
def test_what_its_server_closes_is_closed_soon() -> None:
    pool, (kept, theirs) = new_pool(), link()
    pool.keep(URL, None, kept)
    theirs.close()
    coloop.sleep(KEPT_S / 2)
    assert kept.connection.closed


@in_coroutine(mock=True)
def test_while_it_is_swept_two_can_take_and_both_get_their_own() -> None:
    pool = new_pool()
    links = [link() for _ in range(4)]
    for one, _ in links:
        pool.keep(URL, None, one)
    sweeping = coloop.go(pool.sweep)
    taken = [coloop.go(pool.take, URL, None) for _ in range(4)]
    found = [one.result() for one in taken]
    sweeping.join()
    got = [one for one in found if one is not None]
    assert len(set(map(id, got))) == len(got)
    assert len(pool) == 4 - len(got)
    pool.close()


@in_coroutine(mock=True)
def test_a_taker_that_is_cancelled_leaves_nothing_open() -> None:
    pool, (kept, _) = new_pool(), link()
    pool.keep(URL, None, kept)
    taking = coloop.go(pool.take, URL, None)
    taking.cancel()
    taking.join()
    assert kept.connection.closed
    assert len(pool) == 0


@in_coroutine(mock=True)
def test_a_scheduler_has_one_as_long_as_there_is_something_in_it() -> None:
    kept, _ = link()
    current_pool().keep(URL, None, kept)
    assert current_pool().take(URL, None) is kept
    kept.close()


def test_a_scheduler_that_ends_takes_its_pool_along() -> None:
    def main() -> "weakref.ref[Pool]":
        current_pool().keep(URL, None, link()[0])
        return weakref.ref(current_pool())

    pool = coloop.run(main)
    gc.collect()
    assert pool() is None
