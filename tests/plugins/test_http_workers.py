"""An app in worker processes, under the load of a real client that keeps its connections."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from coshell.console import Capture
from coshell.shell import Shell
from tests.patience import PATIENCE_S
from tests.plugins.at_the_prompt import do, have_all_workers_heard
from tests.plugins.service import Service
from tests.thorough import sample

APP = "def app(request): return str(__import__('os').getpid())"
PATIENT = """\
from coshell_plugins.hypertext import conversation
def app(request):
    conversation.DRAIN_S = 2.0  # in the worker: wrk may get no turn for a moment between an answer and its next request
    return str(__import__('os').getpid())
"""


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    with Shell(console=Capture()) as shell:
        for plugin in ("server", "http"):
            shell.plugins.load(f"coshell_plugins.{plugin}")
        have_all_workers_heard(monkeypatch)
        do(shell, APP, "server start web :0 http(app) --workers 2")
        yield shell


def wrk(shell: Shell, seconds: int) -> "subprocess.Popen[str]":
    url = f"http://{shell.evaluate('web.address')}/"
    return subprocess.Popen(
        ["wrk", "-t1", "-c20", f"-d{seconds}", "--timeout", "45s", url], stdout=subprocess.PIPE, text=True
    )


def told(load: "subprocess.Popen[str]") -> str:
    with load:
        said, _ = load.communicate(timeout=PATIENCE_S)
    return said


@pytest.mark.parametrize("line", sample(["server reload web", "server scale web 1"], 2))
def test_who_keeps_its_connections_loses_no_request_when_workers_go(shell: Shell, line: str) -> None:
    do(shell, PATIENT, "server reload web")
    load = wrk(shell, 1)
    do(shell, "@wait web.totals().accepted >= 20", "http get web/")
    do(shell, line)
    said = told(load)
    assert "requests in" in said
    assert "Non-2xx" not in said
    assert "Socket errors" not in said


def test_workers_count_requests_and_not_connections(shell: Shell) -> None:
    do(shell, *["http get web/"] * 5, "@wait web.totals().requests == 5")
    assert shell.evaluate("web.totals().accepted") < 5


def test_answers_are_counted_by_status_in_all_workers_those_that_are_gone_included(shell: Shell) -> None:
    do(
        shell,
        "def app(request): return {'/': 200, '/moved': 301, '/no': 404}.get(request.path) or 1 / 0, ''",
        "http start :0 app --as site --workers 2",
        *[f"http get site/{path}" for path in ("", "", "no", "no", "no", "worse")],
        "http.request('GET', f'http://{site.address}/moved', redirects=0)",
    )
    wanted = (7, 3, 3, 1)
    record = do(shell, "http list").value[1]
    assert (record.requests, record.good, record.refused, record.failed) == wanted
    do(shell, "server reload site")
    record = do(shell, "http list").value[1]
    assert (record.requests, record.good, record.refused, record.failed) == wanted


def test_servers_that_speak_http_are_listed_whoever_started_them(shell: Shell) -> None:
    do(shell, "server start plain :0 {lambda conn: None} --workers 1", "http get web/")
    assert [(one.name, one.good) for one in do(shell, "http list").value] == [("web", 1)]


def test_a_reload_brings_a_new_app_to_the_same_address(shell: Shell) -> None:
    do(shell, "http get web/", "def app(request): return 'new'", "server reload web")
    assert do(shell, "http get web/").value.text == "new"


@pytest.mark.parametrize("answer", ["{}", "http.Response(body={})"])
def test_a_worker_imports_nothing_of_the_shell(shell: Shell, answer: str) -> None:
    imported = "[name for name in sys.modules if name.partition('.')[0] == 'coshell']"
    do(shell, "import sys", f"def app(request): return {answer.format(imported)}")
    do(shell, "server reload web", "http start :0 app --as site --workers 1")
    for server in ("web", "site"):
        assert do(shell, f"http get {server}/").value.json() == []


def test_an_app_that_cannot_be_sent_is_said_in_one_line(shell: Shell) -> None:
    do(shell, "lock = __import__('threading').Lock()", "def held(request): return str(lock)")
    result = shell.execute("http start :0 held --as other --workers 1")
    assert not result.ok
    assert "lock" in (result.error or "")
    assert "\n" not in (result.error or "")


# -- a file that is served, and run again at SIGHUP

GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
FILE = """\
import os
from tests.thorough import sample
def app(request): return f'%s {os.getpid()}'
http start :%d app --as web --workers %d
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    service.file.write_text(FILE % ("one", service.port, 1))
    service.start()
    service.until(lambda: service.ask(GET)[0] == "one")
    yield service
    service.close()


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_file_that_is_run_again_replaces_the_app_and_its_workers(service: Service) -> None:
    old = service.ask(GET)[1]
    service.file.write_text(FILE % ("two", service.port, 2))
    service.signal(signal.SIGHUP)
    service.until(lambda: service.ask(GET)[0] == "two")
    service.until(lambda: len({service.ask(GET)[1] for _ in range(20)}) == 2)
    service.until(lambda: not is_there(old))
    assert service.ask(GET)[0] == "two"
    service.signal(signal.SIGTERM)
    assert service.ended()[0] == 0


def test_an_app_that_is_broken_leaves_the_old_workers(service: Service) -> None:
    old = service.ask(GET)
    service.file.write_text(
        f"import os\nprint('again')\nhttp start :{service.port} nonsense --as web --workers 1\n"
    )
    service.signal(signal.SIGHUP)
    assert service.process is not None
    assert service.process.stdout is not None
    said = next(line for line in service.process.stdout if "nonsense" in line)
    assert "NameError" in said
    assert service.ask(GET) == old
    service.signal(signal.SIGTERM)
    assert service.ended()[0] == 0


def test_who_asks_while_the_file_is_run_again_gets_an_answer(service: Service) -> None:
    url = f"http://127.0.0.1:{service.port}/"
    with subprocess.Popen(
        ["wrk", "-t1", "-c10", "-d2", "--timeout", "45s", url], stdout=subprocess.PIPE, text=True
    ) as load:
        for word in ("two", "three"):
            service.file.write_text(FILE % (word, service.port, 1))
            service.signal(signal.SIGHUP)
            service.until(lambda word=word: service.ask(GET)[0] == word)  # type: ignore[misc]
        said, _ = load.communicate(timeout=PATIENCE_S)
    assert "requests in" in said
    assert "Non-2xx" not in said
    assert "Socket errors" not in said
