"""Tests that run as a coroutine, on both pollers, and leave nothing behind."""

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType

import pytest

import coloop
from coloop._frames import is_ours
from coloop.testing import MockClock


class Recorder(coloop.Observer):
    """Keeps what it is told. A test takes out the failures that it expects; any other fails it."""

    def __init__(self) -> None:
        self.failures: list[coloop.Failure] = []
        self.warnings: list[str] = []

    def failed(self, failure: coloop.Failure) -> None:
        self.failures.append(failure)

    def warned(self, text: str) -> None:
        self.warnings.append(text)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "coroutine: the test is run as the main coroutine of a scheduler")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run the marked ones with `coloop.run`; no descriptor and no unexpected failure may be left."""
    if pyfuncitem.get_closest_marker("coroutine") is None:
        return None
    given = pyfuncitem.funcargs
    wanted = {name: given[name] for name in pyfuncitem._fixtureinfo.argnames}
    observer = given.get("observer") or Recorder()
    before = open_descriptors()
    coloop.run(partial(pyfuncitem.obj, **wanted), clock=given.get("mock_clock"), observer=observer)
    assert observer.failures == []
    assert open_descriptors() == before
    return True


def open_descriptors() -> dict[str, str]:
    """What each descriptor of this process leads to; without pipes, which belong to `start_peer`."""
    found = {}
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            found[descriptor.name] = str(descriptor.readlink())
    return {number: target for number, target in found.items() if not target.startswith("pipe:")}


@pytest.fixture(params=["epoll", "selectors"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    monkeypatch.setenv("COLOOP_POLLER", name)
    return name


@pytest.fixture
def observer() -> Recorder:
    return Recorder()


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """It, and what is defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_in(constant)


def prepare(codes: Iterable[CodeType]) -> None:
    """Let CPython >= 3.12 note of these that they are not watched. After any `sys.setprofile` that takes 64 bytes at the next
    call of each, on the account of whoever calls it.
    """
    if sys.version_info < (3, 12):
        return
    sys.monitoring.use_tool_id(sys.monitoring.OPTIMIZER_ID, "tests")
    for code in codes:
        sys.monitoring.set_local_events(sys.monitoring.OPTIMIZER_ID, code, 0)
    sys.monitoring.free_tool_id(sys.monitoring.OPTIMIZER_ID)


def codes_of(module: ModuleType) -> Iterator[CodeType]:
    """All code of a test module, and of what it tests."""
    ours = {"coloop", "contextlib", "tests", module.__name__.partition(".")[0]}
    for value in gc.get_objects():
        if type(value) is FunctionType and (value.__module__ or "").partition(".")[0] in ours:
            yield from codes_in(value.__code__)


@pytest.fixture
def quiet_collector(request: pytest.FixtureRequest) -> Iterator[None]:
    """What other tests have left is gone, and nobody in Python hears of collections: Hypothesis does, and its
    callback makes objects on the account of whoever runs just then.
    """
    prepare(codes_of(request.module))
    gc.collect()
    heard = gc.callbacks[:]
    gc.callbacks[:] = [each for each in heard if isinstance(each, BuiltinFunctionType)]
    yield
    gc.callbacks[:] = heard


@pytest.fixture
def mock_clock() -> MockClock:
    return MockClock()


@pytest.fixture
def fails() -> Callable[..., coloop.Coroutine]:
    """Start `call(*args)` in a coroutine whose result is the error that it ends with, or None."""

    def attempt(call: Callable[..., object], *args: object) -> BaseException | None:
        try:
            call(*args)
        except Exception as error:
            return error
        return None

    return partial(coloop.go, attempt)


@pytest.fixture
def start_peer() -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Start a real program: `start_peer("nc", "127.0.0.1", port)`; its three streams are pipes."""
    started = []

    def start(program: str, *args: object) -> "subprocess.Popen[bytes]":
        path = shutil.which(program)
        if path is None:
            refuse = pytest.fail if os.environ.get("REQUIRE_PEERS") else pytest.skip
            refuse(f"{program} is not installed")
        pipe = subprocess.PIPE
        process = subprocess.Popen([path, *map(str, args)], stdin=pipe, stdout=pipe, stderr=pipe)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def kill_inside() -> Callable[[Callable[[], object], int], bool]:
    """Run `call` in a coroutine that is killed in the runtime, at the n-th place where a kill can strike.

    That is where a function begins, or, in the pure form, behind a call into C: see the head of `_kill.py`.
    False if `call` has not so many of them.
    """
    places = {"call"} if coloop.FORM == "native" else {"call", "c_return"}

    def attempt(call: Callable[[], object], place: int) -> bool:
        scheduler, left, victim = coloop.current_scheduler(), place + 1, None

        def strike(frame: FrameType, event: str, _: object) -> None:
            nonlocal left
            hit = event in places and is_ours(frame.f_code)
            if victim is not None and hit and scheduler.exposed is victim:
                left -= 1
                if left == 0:
                    raise coloop.Killed("struck")

        def body() -> None:
            nonlocal victim
            victim = coloop.current()
            call()
            victim = None

        gc.disable()  # it calls the runtime, which is no place in `call`
        sys.setprofile(strike)
        try:
            coloop.go(body, name="victim").join()
        finally:
            sys.setprofile(None)
            gc.enable()
        return left <= 0

    return attempt
