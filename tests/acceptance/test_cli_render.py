"""What a user sees of ``gearfleet tasks`` and ``gearfleet render``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import GEARFLEET, ROOT, clean_environment, run
from tests.support.supervisord import Supervisord

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

TASKS = """\
from gearfleet import task

@task(queue="bar")
def resize(image: str, width: int = 100) -> str:
    return image
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A plain project with one app, `mill`, and one worker module."""
    workers = tmp_path / "mill" / "gearman_workers"
    workers.mkdir(parents=True)
    (tmp_path / "mill" / "__init__.py").touch()
    (workers / "__init__.py").touch()
    (workers / "worker_bar.py").write_text(TASKS)
    (tmp_path / "gearfleet.toml").write_text('apps = ["mill"]\n[queues.bar]\nprocesses = 3\n')
    return tmp_path


def gearfleet(*words: str | Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return run([*GEARFLEET, *words], cwd=cwd, env=clean_environment(**env))


def test_tasks__lists_module_task_function_queue_and_signature(project: Path) -> None:
    done = gearfleet("tasks", "--json", cwd=project)
    assert json.loads(done.stdout) == [
        {
            "module": "mill.gearman_workers.worker_bar",
            "task": "mill.worker_bar.resize",
            "function": "mill.worker_bar.resize",
            "queue": "bar",
            "signature": "(image, width=100)",
        }
    ]
    assert done.returncode == 0
    for word in ("mill.worker_bar.resize", "bar", "(image, width=100)"):
        assert word in gearfleet("tasks", cwd=project).stdout


def test_render__prints_one_file_that_supervisord_takes(project: Path) -> None:
    done = gearfleet("render", cwd=project)
    assert done.returncode == 0, done.stderr
    daemon = Supervisord()
    try:
        (daemon.conf_d / "gearfleet.conf").write_text(done.stdout)
        daemon.start()
        names = daemon.processes("bar").keys()
    finally:
        daemon.close()
    assert names == {"worker_bar_00", "worker_bar_01", "worker_bar_02"}


def test_render__is_the_same_every_time(project: Path) -> None:
    first, second = (gearfleet("render", cwd=project).stdout for _ in range(2))
    assert first == second
    assert first.startswith("; ")


def test_render__writes_files_and_says_what_changed(project: Path) -> None:
    conf_d = project / "conf.d"
    conf_d.mkdir()
    done = gearfleet("render", "-o", conf_d, cwd=project)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in conf_d.glob("*.conf")} == {"worker_bar.conf", "groups.conf"}
    assert f"added    {conf_d / 'worker_bar.conf'}" in done.stdout

    assert f"No changes in {conf_d}" in gearfleet("render", "-o", conf_d, cwd=project).stdout

    settings = project / "gearfleet.toml"
    settings.write_text(settings.read_text().replace("3", "4"))
    changed = gearfleet("render", "-o", conf_d, cwd=project)
    assert changed.stdout == f"changed  {conf_d / 'worker_bar.conf'}\n"


def test_render__removes_what_it_wrote_for_a_program_that_is_gone(project: Path) -> None:
    conf_d = project / "conf.d"
    conf_d.mkdir()
    (conf_d / "other.conf").write_text("[program:other]\ncommand=/bin/true\n")
    gearfleet("render", "-o", conf_d, cwd=project)
    workers = project / "mill" / "gearman_workers"
    (workers / "worker_bar.py").rename(workers / "worker_new.py")
    done = gearfleet("render", "-o", conf_d, cwd=project)
    assert f"removed  {conf_d / 'worker_bar.conf'}" in done.stdout
    assert {path.name for path in conf_d.glob("*.conf")} == {
        "groups.conf",
        "other.conf",
        "worker_new.conf",
    }


def test_render__that_fails_never_leaves_an_empty_file(project: Path) -> None:
    (project / "gearfleet.toml").write_text('apps = ["mill"]\n[fleet]\nproceses = 3\n')
    done = gearfleet("render", cwd=project)
    assert done.returncode == 78
    assert "Unknown setting 'fleet.proceses'" in done.stderr
    assert "Did you mean 'processes'?" in done.stderr
    assert done.stdout.count("\n") == 1
    daemon = Supervisord()
    try:
        (daemon.conf_d / "gearfleet.conf").write_text(done.stdout)
        with pytest.raises(AssertionError, match="supervisord ended"):
            daemon.start()
    finally:
        daemon.close()


def test_render__that_fails_by_a_mistake_of_ours_leaves_no_empty_file_either(
    project: Path,
) -> None:
    (project / "jinja2.py").write_text("raise RuntimeError('a broken installation')\n")
    done = run([*GEARFLEET, "render"], cwd=project, fresh=True)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert done.stdout.startswith("= gearfleet could not render the fleet")
    assert done.stdout.count("\n") == 1


def test_render__is_utf_8_whatever_the_locale(project: Path) -> None:
    worker = project / "mill" / "gearman_workers" / "worker_bar.py"
    worker.write_text(TASKS.replace('queue="bar"', 'queue="bar", name="grüße"'), "utf-8")
    expected = gearfleet("render", cwd=project, PYTHONIOENCODING="utf-8")
    assert "grüße" in expected.stdout
    assert gearfleet("render", cwd=project, PYTHONIOENCODING="ascii").stdout == expected.stdout
    listed = gearfleet("tasks", cwd=project, PYTHONIOENCODING="ascii")
    assert r"gr\xfc\xdfe" in listed.stdout
    as_json = gearfleet("tasks", "--json", cwd=project, PYTHONIOENCODING="ascii")
    assert json.loads(as_json.stdout)[0]["task"] == "grüße"


@pytest.mark.parametrize("words", [["render"], ["supervisor-conf"]])
def test_render__as_json(words: list[str], project: Path) -> None:
    done = gearfleet(*words, "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout).keys() in (
        {"groups.conf", "worker_bar.conf"},
        {"servers", "run_dir"},
    )


def test_render__into_a_directory_without_a_name(project: Path) -> None:
    before = set(project.iterdir())
    done = gearfleet("render", "-o", "", cwd=project)
    assert done.returncode == 2
    assert "'.' is this one" in done.stderr
    assert set(project.iterdir()) == before


@pytest.mark.parametrize("by", ["option", "variable", "setting"])
def test_render__a_template_directory_that_does_not_exist(by: str, project: Path) -> None:
    env = {"GEARFLEET_TEMPLATE_DIR": "tmeplates"} if by == "variable" else {}
    if by == "setting":
        (project / "gearfleet.toml").write_text('apps = ["mill"]\ntemplate_dir = "tmeplates"\n')
    words = ["--template-dir", "tmeplates"] if by == "option" else []
    done = gearfleet("render", *words, cwd=project, **env)
    assert done.returncode == 78
    assert "tmeplates: No such file or directory" in done.stderr


def test_render__refuses_what_supervisor_cannot_express_and_writes_nothing(project: Path) -> None:
    conf_d = project / "conf.d"
    conf_d.mkdir()
    for value in ("two\\nlines", "both ' and \\\"", "cut ;here"):
        (project / "gearfleet.toml").write_text(
            f'apps = ["mill"]\n[programs.worker_bar.environment]\nMOTTO = "{value}"\n'
        )
        done = gearfleet("render", "-o", conf_d, cwd=project)
        assert done.returncode == 78, done.stderr
        assert "programs.worker_bar.environment.MOTTO" in done.stderr
        assert not list(conf_d.iterdir())


def test_render__uses_the_users_templates(project: Path) -> None:
    templates = project / "templates"
    templates.mkdir()
    (templates / "header.conf.j2").write_text("; our own header\n")
    done = gearfleet("render", "--template-dir", templates, cwd=project)
    assert done.returncode == 0, done.stderr
    assert "; our own header" in done.stdout


def test_render__names_file_and_line_of_a_broken_template(project: Path) -> None:
    templates = project / "templates"
    templates.mkdir()
    (templates / "program.conf.j2").write_text("[program:x]\n{{ nonsense }}\n")
    done = gearfleet("render", "--template-dir", templates, cwd=project)
    assert done.returncode == 78
    assert "program.conf.j2" in done.stderr
    assert "line 2" in done.stderr or ":2" in done.stderr


def test_render__shows_the_traceback_of_a_worker_module_that_does_not_import(project: Path) -> None:
    broken = project / "mill" / "gearman_workers" / "worker_broken.py"
    broken.write_text("import no_such_module\n")
    done = gearfleet("render", cwd=project)
    assert done.returncode == 3
    assert "ModuleNotFoundError: No module named 'no_such_module'" in done.stderr
    assert "mill.gearman_workers.worker_broken" in done.stderr


def test_examples__both_are_accepted_by_supervisors_parser(tmp_path: Path) -> None:
    plain = gearfleet("--app", "examples.plain", "render", cwd=ROOT)
    assert plain.returncode == 0, plain.stderr
    shop = gearfleet(
        "render",
        cwd=ROOT / "examples" / "shop",
        DJANGO_SETTINGS_MODULE="shop_project.settings",
        SHOP_DATA=str(tmp_path),
    )
    assert shop.returncode == 0, shop.stderr
    assert "[group:bar]\nprograms=worker_bar,worker_bar2\n" in shop.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rendr"], "Unknown verb 'rendr' (known: "),
        (["rendr"], "Did you mean 'render'?"),
        (["render", "--ouput", "x"], "Unknown option '--ouput' of 'gearfleet render'"),
        (["render", "--ouput", "x"], "Did you mean '--output'?"),
        (["tasks", "surplus"], "Unexpected argument 'surplus'"),
    ],
)
def test_usage__unknown_words_are_named_with_the_nearest(
    words: list[str], said: str, tmp_path: Path
) -> None:
    done = gearfleet(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert not done.stdout


@pytest.mark.parametrize(
    ("words", "env", "code", "said"),
    [
        (["tasks", "--servers", "10.0.0.5:gm"], {}, 78, "--servers: Port 'gm' in"),
        (["tasks", "--servers", ","], {}, 78, "--servers names no job server"),
        (["restart", "bar", "--url", "unix:///x", "--servers", "a:b"], {}, 78, "Port 'b'"),
        (
            ["worker", "-a", "mill", "-n", "worker_bar"],
            {"GEARFLEET_DRAIN_TIMEOUT": "1m"},
            2,
            "--drain-timeout or GEARFLEET_DRAIN_TIMEOUT is '1m'; give a number of seconds",
        ),
        (
            ["worker", "-a", "mill", "-n", "worker_bar", "--hook-timeout=-1"],
            {},
            2,
            "--hook-timeout or GEARFLEET_HOOK_TIMEOUT is '-1'",
        ),
        (
            ["worker", "-a", "mill", "-n", "worker_bar", "--prefetch=0"],
            {},
            2,
            "--prefetch or GEARFLEET_PREFETCH is '0'; give a whole number, 1 or more",
        ),
        (["demo", "--jobs", "-3"], {}, 2, "--jobs is a whole number, 1 or more; it is '-3'"),
    ],
)
def test_values__that_cannot_be_used_are_named_with_their_source(
    words: list[str], env: dict[str, str], code: int, said: str, project: Path
) -> None:
    done = gearfleet(*words, cwd=project, **env)
    assert said in done.stderr
    assert done.returncode == code


def test_tasks__without_any_says_where_they_are_searched(project: Path) -> None:
    (project / "mill" / "gearman_workers" / "worker_bar.py").unlink()
    done = gearfleet("tasks", cwd=project)
    assert "No tasks in mill. They are searched in gearman_workers/*.py" in done.stderr


def test_usage__without_an_app_says_how_to_name_one(tmp_path: Path) -> None:
    done = gearfleet("tasks", cwd=tmp_path)
    assert done.returncode == 2
    assert "--app PACKAGE" in done.stderr


def test_json__a_failure_is_an_object_on_stdout(tmp_path: Path) -> None:
    done = gearfleet("tasks", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["error"]["type"] == "UsageError"
    assert done.returncode == 2


def test_options__may_stand_before_or_after_the_verb(project: Path) -> None:
    before = gearfleet("--json", "--app", "mill", "tasks", cwd=project)
    after = gearfleet("tasks", "--json", "--app", "mill", cwd=project)
    assert before.returncode == 0
    assert before.stdout == after.stdout


def test_render__for_a_host_that_nobody_has(project: Path) -> None:
    settings = project / "gearfleet.toml"
    settings.write_text(settings.read_text() + "[hosts.web1.fleet]\nprocesses = 'cpu'\n")
    done = gearfleet("render", "--host", "web2", cwd=project)
    assert done.returncode == 2
    assert "Unknown host 'web2' (known: web1). Did you mean 'web1'?" in done.stderr
    assert "hosts.web1.cpus" in gearfleet("render", "--host", "web1", cwd=project).stderr
    assert gearfleet("render", "--host", "web1", "--cpus", "3", cwd=project).returncode == 0
    assert gearfleet("render", cwd=project).returncode == 0
