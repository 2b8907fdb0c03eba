"""What this installation can do."""

import resource

from coshell.doctor import Finding, examine, lines_of


def found(tmp_path, **environ):
    return {
        finding.about: finding for finding in examine({"XDG_CONFIG_HOME": str(tmp_path), **environ}, tmp_path)
    }


def test_all_is_well_where_these_tests_run(tmp_path):
    findings = found(tmp_path)
    assert {about: finding for about, finding in findings.items() if not finding.ok} == {}
    assert findings["greenlet"].text[0].isdigit()
    assert findings["poller"].text.startswith(("epoll", "selectors"))


def test_what_the_environment_changes_is_seen(tmp_path):
    findings = found(tmp_path, COLOOP_PURE="1", COLOOP_POLLER="selectors")
    assert findings["native core"].text == "not used: COLOOP_PURE=1"
    assert findings["poller"].text == "selectors, slower than epoll"


def test_few_descriptors_are_told_with_an_advice(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        finding = found(tmp_path)["descriptors"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert not finding.ok
    assert finding.text == "at most 256; raise it with ulimit -n"


def test_wrong_settings_are_told(tmp_path):
    (tmp_path / "coshell.toml").write_text("levle = 1")
    wrong = [f.text for f in examine({"XDG_CONFIG_HOME": str(tmp_path)}, tmp_path) if not f.ok]
    assert wrong == [
        f"from {tmp_path / 'coshell.toml'}",
        "coshell.toml: no setting 'levle', did you mean 'level'?; ignored",
    ]


def test_findings_become_lines():
    lines = lines_of([Finding("poller", True, "epoll"), Finding("pluggy", False, "missing")])
    assert lines == ["ok    poller          epoll", "wrong pluggy          missing"]
