"""`http` at the prompt and as a function."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme

from coshell.command import CommandError
from coshell.console import Capture
from coshell.shell import Shell
from coshell_plugins.hypertext.face import http
from tests.certificates import issued
from tests.plugins.at_the_prompt import do, error, refused

APP = "def app(request): return f'{request.method} {request.path} {request.text}'"


@pytest.fixture
def shell(console: Capture) -> Iterator[Shell]:
    with Shell(console=console) as shell:
        shell.plugins.load("coshell_plugins.http")
        do(shell, APP)
        yield shell


# -- servers


def test_a_server_is_started_seen_and_stopped(shell: Shell, console: Capture) -> None:
    record = do(shell, "http start :0 app --as web").value
    assert (record.name, record.state, record.app, record.requests) == ("web", "accepting", "app", 0)
    assert record.address == str(shell.evaluate("web.address"))
    assert do(shell, "http get web/x").value.text == "GET /x "
    do(shell, "http get web/x", "http list")
    (record,) = do(shell, "http list").value
    assert (record.requests, record.good, record.refused, record.failed, record.connections) == (
        2,
        2,
        0,
        0,
        1,
    )
    assert console.lines()[-1].split()[:3] == ["web", "accepting", record.address]
    do(shell, "http stop web", "http list")
    assert console.lines()[-1] == "no http servers"


def test_it_has_a_name_of_its_own_if_it_gets_none(shell: Shell) -> None:
    assert do(shell, "http start :0 app").value.name == "http#1"
    assert do(shell, "http get http#1/").value.status == 200
    assert do(shell, "http stop http#1").value.name == "http#1"
    assert {socket.role for socket in shell.snapshot().sockets} == {"client"}


def test_failures_and_refusals_are_counted(shell: Shell) -> None:
    do(shell, "http start :0 {lambda request: 1 / 0 if request.path == '/' else (404, 'no')} --as web")
    do(shell, "http get web/", "http get web/x")
    (record,) = do(shell, "http list").value
    assert (record.requests, record.good, record.refused, record.failed) == (2, 0, 1, 1)


def test_a_file_that_is_run_again_gives_its_server_the_new_app(shell: Shell) -> None:
    first = do(shell, "http start :0 app --as web").value
    shell.rerunning = True
    second = do(shell, "def app(request): return 'new'", "http start :0 app --as web").value
    assert second.address == first.address
    assert do(shell, "http get web/").value.text == "new"


def test_run_again_servers_without_a_name_are_known_by_their_address(shell: Shell) -> None:
    file = (
        "http start :0 {lambda request: 'a'}",
        "http start :0 app --as web",
        "http start :0 {lambda request: 'c'}",
    )
    do(shell, *file)
    before = [(one.name, one.address) for one in do(shell, "http list").value]
    shell.rerunning = True
    do(shell, *file)
    assert [(one.name, one.address) for one in do(shell, "http list").value] == before
    assert [one.name for one in do(shell, "http list").value] == ["http#1", "web", "http#3"]
    assert [do(shell, f"http get {name}/").value.text for name in ("http#1", "http#3")] == ["a", "c"]


def test_workers_are_started_seen_and_stopped_as_well(shell: Shell) -> None:
    shell.plugins.load("coshell_plugins.server")
    do(shell, "import os", "def app(request): return str(os.getpid())")
    record = do(shell, "http start :0 app --as web --workers 2").value
    assert (record.workers, record.good, record.state) == (2, 0, "running")
    assert int(do(shell, "http get web/").value.text) != os.getpid()
    told = curl_from(shell, "web")
    assert {int(pid) for pid in told} <= {mate.pid for mate in shell.evaluate("web").mates}
    assert [one.name for one in do(shell, "http list").value] == ["web"]
    do(shell, "http stop web --drain 5s", "http list")
    assert do(shell, "http list").value == []


def test_it_has_the_life_of_any_server(shell: Shell) -> None:
    shell.plugins.load("coshell_plugins.server")
    do(shell, "http start :0 app --as web", "http get web/")
    (record,) = do(shell, "server list").value
    assert (record.name, record.handler, record.requests) == ("web", "app", 1)
    assert "server 'web' is running" in error(shell, "server start web :0 app")
    first = do(shell, "http list").value[0].address
    do(shell, "server restart web")
    assert [(one.name, one.address) for one in do(shell, "http list").value] == [("web", first)]
    do(shell, "server drain web", "http list")
    assert do(shell, "server list").value == do(shell, "http list").value == []


def test_one_without_a_python_name_can_be_restarted_as_well(shell: Shell) -> None:
    shell.plugins.load("coshell_plugins.server")
    do(shell, "http start :0 app", "server restart http#1")
    assert "http#1" not in shell.names
    assert [one.name for one in do(shell, "http list").value] == ["http#1"]


def test_it_goes_on_when_the_server_plugin_goes_and_comes(shell: Shell) -> None:
    shell.plugins.load("coshell_plugins.server")
    do(shell, "http start :0 app --as web")
    assert shell.plugins.unload("server") == ()
    assert do(shell, "http get web/x").value.text == "GET /x "
    shell.plugins.load("coshell_plugins.server")
    assert [one.name for one in do(shell, "server list").value] == ["web"]
    do(shell, "http start :0 app --as other --workers 1", "http stop other", "http stop web")
    assert do(shell, "server list").value == []


def test_a_server_that_another_command_gave_an_app_is_listed_too(shell: Shell) -> None:
    shell.plugins.load("coshell_plugins.server")
    do(shell, "server start web :0 {http(app)}", "server start other :0 {lambda conn: None}", "http get web/")
    assert [(one.name, one.good) for one in do(shell, "http list").value] == [("web", 1)]


def test_a_reload_asks_for_the_app_again(shell: Shell) -> None:
    shell.plugins.load("coshell_plugins.server")
    do(shell, "http start :0 app --as web", "def app(request): return 'new'", "server reload web")
    assert do(shell, "http get web/").value.text == "new"
    do(shell, "server reload web {lambda request: 'other'}")
    assert set(curl_from(shell, "web")) == {"other"}
    assert "42 is no function of one request" in error(shell, "server reload web {42}")
    assert set(curl_from(shell, "web")) == {"other"}


def test_a_connection_that_is_kept_gets_the_new_app_with_its_next_request(shell: Shell) -> None:
    shell.plugins.load("coshell_plugins.server")
    do(shell, "def app(request): return 'old'", "http start :0 app --as web")
    assert do(shell, "http get web/").value.text == "old"
    (kept,) = [one for one in shell.snapshot().sockets if one.role == "server"]
    do(shell, "def app(request): return 'new'", "server reload web")
    assert do(shell, "http get web/").value.text == "new"
    assert [one.id for one in shell.snapshot().sockets if one.role == "server"] == [kept.id]
    do(shell, "server reload web {lambda request: 1/0}")
    assert do(shell, "http get web/").value.status == 500


def test_a_new_app_goes_on_with_the_counts_of_the_old_one(shell: Shell) -> None:
    do(shell, "http start :0 app --as web", "http get web/")
    shell.rerunning = True
    do(shell, "http start :0 app --as web", "http get web/")
    assert [(one.requests, one.good) for one in do(shell, "http list").value] == [(2, 2)]


def test_a_name_that_python_cannot_have_leaves_no_server(shell: Shell) -> None:
    with pytest.raises(CommandError, match="cannot be a Python name"):
        shell.evaluate("co.http('start', ':0', app, as_='no name')")
    assert shell.snapshot().sockets == ()
    assert do(shell, "http list").value == []


def curl_from(shell: Shell, name: str) -> list[str]:
    """What curl gets from a server, three times."""
    url = f"http://{shell.evaluate(f'{name}.address')}/"
    return [
        subprocess.run(["curl", "-sS", url], capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    ]


def test_workers_need_a_plugin_that_starts_them(shell: Shell) -> None:
    result = shell.execute("http start :0 app --as web --workers 2")
    assert "no plugin is loaded that starts worker processes" in (result.error or "")


def test_a_server_command_can_be_given_a_handler(shell: Shell) -> None:
    do(shell, "serve :0 {http(app)} --as web")
    assert do(shell, "http get web/y").value.text == "GET /y "


def test_a_handler_that_was_made_already_is_taken(shell: Shell) -> None:
    do(shell, "handler = http(app, http.Limits(headers=1))", "http start :0 handler --as web")
    assert do(shell, "http get web/").value.status == 431
    assert shell.evaluate("handler.requests") == 1


def test_unloading_the_plugin_stops_its_servers(shell: Shell) -> None:
    do(shell, "http start :0 app --as web", "http get web/")
    assert shell.plugins.unload("http") == ("http web (1 connection)",)
    assert shell.snapshot().sockets == ()
    assert "http" not in shell.names


def test_a_handler_is_one_also_for_the_plugin_that_is_loaded_anew(shell: Shell) -> None:
    do(shell, "handler = http(app)")
    shell.plugins.unload("http")
    shell.plugins.load("coshell_plugins.http")
    do(shell, "http start :0 handler --as web")
    assert do(shell, "http get web/x").value.text == "GET /x "


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("http start :0", "it must read: http start ADDRESS HANDLER"),
        ("http get", "it must read: http get URL"),
        ("http get a b", "it must read: http get URL"),
        ("http list web", "it must read: http list"),
        ("http stop", "it must read: http stop NAME"),
        ("http begin", "'begin' is none of start, get, head, post, list, stop"),
        ("http start :0 nonsense", "nonsense: NameError: name 'nonsense' is not defined"),
        ("http start :0 {42}", "42 is no function of one request but a int"),
        ("http start 0.0.0.0:0 app", "other machines could connect to 0.0.0.0:0: give --public"),
        ("http start :99999 app", "99999"),
        ("http start :0 app --as class", "'class' cannot be a Python name"),
        ("http start :0 app --workers 2", "give --as NAME"),
        ("http start :0 app --as web --workers 0", "--workers must be 1 or more, not 0"),
        ("http stop web", "no http server 'web' was started here; there is none"),
        ("http get ftp://x/", "only http and https can be asked for"),
        ("http get :1/", "refused: nobody listens on 127.0.0.1:1"),
        ("http get :1/ --data x", "http get sends no data: http post URL --data D"),
        ("http get :1/ --header nonsense", "a header is given as NAME:VALUE, and 'nonsense' is none"),
        ("http get :1/ --header 'A: €'", "cannot be sent"),
    ],
)
def test_misuse_is_one_line_and_starts_nothing(shell: Shell, line: str, why: str) -> None:
    refused(shell, line, why)


def test_a_name_is_used_once_at_a_time(shell: Shell) -> None:
    do(shell, "http start :0 app --as web")
    assert shell.execute("http start :0 app --as web").error == "http server 'web' is running: http stop web"


# -- clients


def test_headers_and_data_are_sent(shell: Shell) -> None:
    do(
        shell,
        "def tell(request): return {'a': request.headers.get_all('a'), 'body': request.text}",
        "http start :0 tell --as web",
    )
    reply = do(shell, "http post web/ --header A:b --header 'A: c d' --data 'x y'").value
    assert reply.json() == {"a": ["b", "c d"], "body": "x y"}
    assert do(shell, "http post web/ --data {dict(k=1)}").value.json()["body"] == "k=1"


def test_an_answer_is_shown_with_its_head(shell: Shell, console: Capture) -> None:
    do(
        shell,
        "http start :0 {lambda request: (418, {'X-A': 'b'}, 'tea\\npot\\n')} --as web",
        "http get {web}",
    )
    shown = console.text
    assert "418 I'm a Teapot  8 bytes in " in shown
    assert "\nx-a: b\n" in shown
    assert console.lines()[-3:] == ["", "tea", "pot"]


def test_nothing_that_a_server_sends_reaches_the_terminal_as_it_is(shell: Shell, console: Capture) -> None:
    do(
        shell,
        "http start :0 {lambda request: (200, {'X-A': '\\x9b2J'}, '\\x1b[2J\\u202e')} --as web",
        "http get web/",
    )
    assert "\x1b" not in console.text
    assert "\x9b" not in console.text
    assert "\\x1b[2J\\u202e" in console.text


def test_a_long_answer_is_cut_for_the_eye_only(shell: Shell, console: Capture) -> None:
    do(shell, "http start :0 {lambda request: 'x' * 100_000} --as web")
    assert len(do(shell, "http get web/").value.body) == 100_000
    assert console.lines()[-1] == "... (100,000 characters; --json gives all)"
    assert len(console.text) < 20_000


def test_an_answer_as_json_has_all_of_it(shell: Shell, console: Capture) -> None:
    do(shell, "http start :0 app --as web", "http get web/x --json")
    told = json.loads(console.lines()[-1])
    assert (told["method"], told["status"], told["body"], told["bytes"]) == ("GET", 200, "GET /x ", 7)
    assert told["headers"]["server"] == "coshell"
    assert (told["reused"], told["redirects"]) == (False, [])
    assert told["total_s"] > 0


def test_a_server_list_as_json_has_plain_numbers(shell: Shell, console: Capture) -> None:
    do(shell, "http start :0 app --as web", "http list --json")
    told = json.loads(console.lines()[-1])
    assert (told["name"], told["requests"]) == ("web", 0)


def test_it_waits_no_longer_than_told(shell: Shell) -> None:
    do(shell, "http start :0 {lambda request: sleep(60)} --as web")
    assert "timed out after 0.01s" in (shell.execute("http get web/ --timeout 10ms").error or "")


def test_a_server_on_a_unix_socket_is_asked_by_others(shell: Shell, tmp_path: Path) -> None:
    do(shell, f"http start unix:{tmp_path}/s app --as web")
    assert "http cannot" in (shell.execute("http get web/").error or "")
    command = ["curl", "-sS", "--unix-socket", f"{tmp_path}/s", "http://x/y"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "GET /y "


# -- the function form


def test_the_name_is_more_than_the_command_in_python(shell: Shell) -> None:
    assert repr(shell.evaluate("http")) == repr(http)
    do(shell, "http start :0 app --as web")
    assert shell.evaluate("http.get(f'{web.address}/x').text") == "GET /x "
    assert shell.evaluate("http.post(f'{web.address}/x', data='d').text") == "POST /x d"
    assert shell.evaluate("co.http('get', 'web/x').text") == "GET /x "
    assert [one.name for one in shell.evaluate("co.http('list')")] == ["web"]


def test_the_users_own_name_wins(shell: Shell) -> None:
    do(shell, "import http")
    assert shell.evaluate("http.__name__") == "http"
    shell.plugins.unload("http")
    assert shell.evaluate("http.__name__") == "http"


def test_misuse_from_python_is_the_same_line(shell: Shell) -> None:
    with pytest.raises(CommandError, match="it must read: http stop NAME"):
        shell.evaluate("co.http('stop')")


# -- examples


@pytest.mark.parametrize("example", range(4))
def test_the_examples_of_its_help_run_as_they_stand(shell: Shell, example: int) -> None:
    examples = shell.commands.get("http").examples
    assert len(examples) == 4
    do(shell, "del app")
    assert shell.execute(examples[example]).ok


def test_its_help_shows_all_forms(shell: Shell, console: Capture) -> None:
    do(shell, "http --help")
    for form in (
        "http start ADDRESS HANDLER",
        "http get URL",
        "http list",
        "http stop NAME [--drain SECONDS]",
    ):
        assert f"  {form}" in console.text


# -- TLS


@pytest.fixture
def files(tmp_path: Path) -> SimpleNamespace:
    return issued(trustme.CA(), tmp_path)


def test_an_app_is_served_over_tls_and_curl_verifies_it(shell: Shell, files: SimpleNamespace) -> None:
    do(shell, f"http start :0 app --as web --tls --cert {files.cert} --key {files.key}")
    url = f"https://localhost:{shell.evaluate('web.address.port')}/x"
    asked = subprocess.run(["curl", "-sS", "--cacert", files.ca, url], capture_output=True, text=True)
    assert (asked.stdout, asked.stderr) == ("GET /x ", "")
    assert do(shell, f"http get {url} --ca {files.ca}").value.text == "GET /x "
    assert do(shell, f"http get {url} --insecure").value.text == "GET /x "


def test_the_name_of_a_server_over_tls_stands_for_its_url(shell: Shell, files: SimpleNamespace) -> None:
    do(shell, f"http start :0 app --as web --tls --cert {files.both}")
    reply = do(shell, f"http get web/x --ca {files.ca}").value
    assert reply.url.startswith("https://127.0.0.1:")
    assert "--ca FILE trusts those in FILE, --insecure takes any" in error(shell, "http get web/x")


def test_a_certificate_for_another_host_is_told_of(shell: Shell, tmp_path: Path) -> None:
    files = issued(trustme.CA(), tmp_path, "elsewhere")
    do(shell, f"http start :0 app --as web --tls --cert {files.both}")
    said = error(shell, f"http get web/x --ca {files.ca}")
    assert said.endswith("certificate is not valid for '127.0.0.1'; --insecure takes any")


def test_a_server_that_speaks_no_tls_is_told_of(shell: Shell) -> None:
    do(shell, "http start :0 app --as web")
    port = shell.evaluate("web.address.port")
    assert error(shell, f"http get https://localhost:{port}/").endswith(": the peer does not speak TLS")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("http start :0 app --tls", "http: --tls needs --cert FILE and --key FILE: openssl req "),
        ("http start :0 app --cert c", "http: --cert is for --tls"),
        ("http start :0 app --tls --cert /no", "no certificate and key can be had from /no: no such file"),
        ("http start :0 app --insecure", "--ca and --insecure are for who asks: http get URL"),
        (
            "http get web/ --tls",
            "--tls, --cert and --key are for http start; an https URL is asked for over TLS",
        ),
        ("http get https://localhost:1/ --ca /no", "no certificates can be had from /no: no such file"),
    ],
)
def test_options_of_tls_that_make_no_sense_are_refused(shell: Shell, line: str, why: str) -> None:
    assert error(shell, line).startswith(why)
    assert shell.execute("conns").value == []


def test_a_certificate_is_read_anew_when_the_file_is_run_again(shell: Shell, tmp_path: Path) -> None:
    authority = trustme.CA()
    files = issued(authority, tmp_path, called="first")
    line, ask = f"http start :0 app --as web --tls --cert {files.both}", f"connect web --tls --ca {files.ca}"
    do(shell, line)
    assert "commonName=first" in do(shell, ask).value.tls.peer_subject
    issued(authority, tmp_path, called="second")
    with shell.rerun():
        do(shell, line)
    assert "commonName=second" in do(shell, ask).value.tls.peer_subject
