"""J1, G1, G4, G11, Z12-Z16, Q6, Q12, Q16-Q18, QX15: what `manage.py check` says of the older settings."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet import config
from gearfleet.config import Settings
from gearfleet.contrib.django.originals import django_q, with_readings
from gearfleet.contrib.django.project import read_django
from gearfleet.errors import ConfigError
from gearfleet.tasks.naming import function_name
from tests.originals.projects import make_project
from tests.support.django_databases import set_up
from tests.support.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    set_up()
    monkeypatch.setattr("sys.argv", ["manage.py", "check"])
    monkeypatch.delenv("Q_CLUSTER_NAME", raising=False)
    with config.using(Settings()):
        yield


def read(**django: Any) -> Settings:
    return read_django(SimpleNamespace(**django), installed=(), environ={})


def told(**django: Any) -> list[str]:
    """Return what the check says: the number of each message, and its words."""
    from django.core.checks import run_checks
    from django.test import override_settings

    with override_settings(**django):
        found = run_checks(tags=["gearfleet"])
    return [f"{(each.id or '').removeprefix('gearfleet.')} {each.msg}" for each in found]


def one(**django: Any) -> str:
    (found,) = told(**django)
    return found


def test_nothing_is_said_of_what_is_not_set() -> None:
    assert told() == []


@pytest.mark.parametrize(
    ("django", "message"),
    [
        ({"GEARMAN_SERVERS": ["a:1"]}, "GEARMAN_SERVERS means here: servers = ['a:1']."),
        (
            {"GEARMAN_CLIENT_SERVERS": "a:1"},
            "GEARMAN_CLIENT_SERVERS means here: servers = ['a:1'].",
        ),
        (
            {"GEARMAN_WORKER_SERVERS": ("a",)},
            "GEARMAN_WORKER_SERVERS means here: servers = ['a'].",
        ),
        ({"GEARMAN_JOB_NAME": "cwd"}, "GEARMAN_JOB_NAME means here: prefix = 'cwd'."),
        ({"GEARMAN_JOB_NAME": str.upper}, "GEARMAN_JOB_NAME means here: prefix = str.upper."),
        ({"ZTASKD_RETRY_COUNT": 3}, "ZTASKD_RETRY_COUNT means here: retries = 3."),
        ({"ZTASKD_RETRY_AFTER": 1.5}, "ZTASKD_RETRY_AFTER means here: retry_after = 1.5."),
        ({"ZTASKD_DISABLED": True}, "ZTASKD_DISABLED means here: disabled = True."),
        ({"ZTASKD_ALWAYS_EAGER": True}, "ZTASKD_ALWAYS_EAGER means here: always_eager = True."),
        (
            {"ZTASKD_ON_LOAD": ("shop.begin",)},
            "ZTASKD_ON_LOAD means here: hooks.on_start, before those of GEARFLEET.",
        ),
        ({"Q_WORKERS": 3}, "Q_WORKERS means here: fleet.processes = 3."),
        ({"Q_SAVE_LIMIT": 9}, "Q_SAVE_LIMIT means here: save_limit = 9."),
        ({"Q_COMPRESSED": True}, "Q_COMPRESSED means here: compress_above = 1."),
        ({"Q_COMPRESSED": False}, "Q_COMPRESSED means here: compress_above = 0."),
        ({"Q_LOG_LEVEL": "debug"}, "Q_LOG_LEVEL means here: fleet.loglevel = 'DEBUG'."),
        ({"Q_PREFIX": "site"}, "Q_PREFIX means here: prefix = 'site.'."),
    ],
)
def test_what_has_a_counterpart(django: dict[str, Any], message: str) -> None:
    assert one(**django) == f"I201 {message}"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("name", "shop", "prefix = 'shop.'"),
        ("workers", 4, "fleet.processes = 4"),
        ("recycle", 500, "fleet.max_jobs = 500"),
        ("max_rss", 1000, "fleet.max_rss = '1000KB'"),
        ("cpu_affinity", 1, "fleet.cpu_affinity = 1"),
        ("timeout", 30, "fleet.time_limit = 30"),
        ("log_level", "INFO", "fleet.loglevel = 'INFO'"),
        ("save_limit", -1, "save_limit = -1"),
        ("save_limit_per", "func", "save_limit_per = 'function'"),
        ("compress", True, "compress_above = 1"),
        ("sync", True, "always_eager = True"),
        ("time_zone", "Europe/Rome", "time_zone = 'Europe/Rome'"),
        ("max_attempts", 3, "retries = 2"),
        ("error_reporter", {"x": {}}, "a hook on_failure, before those of GEARFLEET"),
        ("scheduler", False, "qcluster has no scheduler"),
        ("scheduler", True, "True, which is so anyway"),
        ("cached", False, "False, which is so anyway"),
        ("catch_up", True, "True, which is so anyway"),
    ],
)
def test_qx15__keys_with_a_counterpart(key: str, value: Any, expected: str) -> None:
    assert one(Q_CLUSTER={key: value}) == f"I201 Q_CLUSTER['{key}'] means here: {expected}."


def test_qx15__a_key_without_one_is_said_with_the_reason() -> None:
    """All keys of Django Q are known; those of section 5.2 that are not mapped are here."""
    keys = [
        "cluster_name", "daemonize_workers", "retry", "ack_failures", "queue_limit", "bulk", "poll",
        "guard_cycle", "cached", "cache", "catch_up", "label", "testing", "redis", "django_redis",
        "sqs", "iron_mq", "orm", "mongo", "mongo_db", "broker_class", "disque_nodes", "has_replica",
    ]  # fmt: skip
    found = told(Q_CLUSTER=dict.fromkeys(keys, "x"))
    assert len(found) == len(keys)
    for key, text in zip(keys, found, strict=True):
        assert re.match(rf"W201 Q_CLUSTER\['{key}'\] means nothing to gearfleet: .+\.$", text)


def test_qx15__no_job_is_tried_for_ever() -> None:
    assert one(Q_CLUSTER={"max_attempts": 0}).startswith("W201 Q_CLUSTER['max_attempts'] means")


def test_qx15__a_long_timeout_is_waited_for_as_django_q_does() -> None:
    cluster = {"timeout": 600}
    assert read(Q_CLUSTER=cluster).layers.fleet == {"time_limit": 600, "drain_timeout": 600}
    ours = read(Q_CLUSTER=cluster, GEARFLEET={"FLEET": {"drain_timeout": 90}})
    assert ours.layers.fleet == {"time_limit": 600, "drain_timeout": 90}


def test_qx15__alt_clusters_are_options_of_queues() -> None:
    cluster = {"workers": 4, "ALT_CLUSTERS": {"long": {"workers": 1, "timeout": 20, "retry": 99}}}
    layers = read(Q_CLUSTER=cluster).layers
    assert (layers.fleet, layers.queues) == (
        {"processes": 4},
        {"long": {"processes": 1, "time_limit": 20}},
    )
    found = told(Q_CLUSTER=cluster)
    assert (
        "I201 Q_CLUSTER['ALT_CLUSTERS']['long']['workers'] means here: queues.long.processes = 1."
        in (found)
    )
    assert [text[:4] for text in found] == ["I201", "I201", "I201", "W201"]
    sources = read(Q_CLUSTER=cluster).sources
    assert sources["queues.long.processes"].endswith("Q_CLUSTER['ALT_CLUSTERS']['long']['workers']")


def test_qx15__a_cluster_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    site = SimpleNamespace(
        Q_CLUSTER={"name": "shop", "ALT_CLUSTERS": {"long": {"scheduler": False}}}
    )
    names = (None, "shop", "long", "front")
    assert [django_q.queue_of(site, name) for name in names] == [None, "default", "long", "front"]
    assert [django_q.has_scheduler(site, name) for name in names] == [True, True, False, True]
    monkeypatch.setenv("Q_CLUSTER_NAME", "long")
    assert one() == "I201 Q_CLUSTER_NAME of the environment means here: qcluster -n long."


def test_q17__sites_that_share_a_job_server_have_functions_of_their_own() -> None:
    names = {function_name("shop.f", read(Q_PREFIX=each).prefix) for each in ("one", "two")}
    assert names == {"one.shop.f", "two.shop.f"}
    both = read(Q_PREFIX="one", GEARMAN_CLIENT_NAMESPACE="live")
    assert function_name("shop.f", both.prefix) == "shop.f@live"


@pytest.mark.parametrize(
    ("django", "message"),
    [
        (
            {"Q_WORKERS": 3, "GEARFLEET": {"FLEET": {"processes": 2}}},
            "Q_WORKERS does not count: fleet.processes is 2, as GEARFLEET's fleet.processes has it, "
            "and not 3.",
        ),
        (
            {"GEARMAN_WORKER_SERVERS": ["b"], "GEARFLEET": {"SERVERS": ["a"]}},
            "GEARMAN_WORKER_SERVERS does not count: servers is ['a'], as GEARFLEET's servers has it, "
            "and not ['b'].",
        ),
        (
            {"GEARMAN_JOB_NAME": "cwd", "GEARFLEET": {"PREFIX": ""}},
            "GEARMAN_JOB_NAME does not count: prefix is '', as GEARFLEET's prefix has it, and not "
            "'cwd'.",
        ),
    ],
)
def test_what_gearfleet_contradicts(django: dict[str, Any], message: str) -> None:
    assert one(**django) == f"W202 {message}"


def test_two_settings_that_say_the_same_thing_otherwise() -> None:
    assert told(Q_WORKERS=3, Q_CLUSTER={"workers": 4})[1] == (
        "W202 Q_WORKERS does not count: fleet.processes is 4, as Q_CLUSTER['workers'] has it, and "
        "not 3."
    )
    assert told(Q_WORKERS=4, Q_CLUSTER={"workers": 4})[1].endswith(
        "as Q_CLUSTER['workers'] says too."
    )
    servers = {f"GEARMAN_{role}SERVERS": [f"{role}x"] for role in ("", "CLIENT_", "WORKER_")}
    assert [each.partition(" means")[0] for each in told(**servers)][:2] == [
        "I201 GEARMAN_CLIENT_SERVERS",
        "I201 GEARMAN_WORKER_SERVERS",
    ]
    assert told(**servers)[2].startswith(
        "W202 GEARMAN_SERVERS does not count: servers is ['CLIENT_x']"
    )


def test_z12__addresses_have_no_meaning_and_are_said_once() -> None:
    names = [
        "ZTASKD_URL", "ZTASKD_WORKER_PORT", "ZTASKD_WORKER_URL_LIST", "ZTASKD_WORKER_BIND_URL",
        "ZTASKD_SUBWORKER_MANAGEMENT_URL", "ZTASKD_SUBWORKER_STATUS_REPORT_URL",
        "ZTASKD_SUBWORKER_WORKER_START_PORT",
    ]  # fmt: skip
    for name in names:
        text = one(**{name: "tcp://127.0.0.1:5555"})
        assert text.startswith(f"W201 {name} means nothing to gearfleet: ")
        assert "gearmand" in text
    assert read(**dict.fromkeys(names, "x")) == read(), "they are accepted"


def test_g04__a_name_that_changes_nothing_is_said() -> None:
    text = one(GEARMAN_JOB_NAME="%(app)s.%(job)s")
    assert text.startswith(
        "W201 GEARMAN_JOB_NAME means nothing to gearfleet: as in django-gearman,"
    )


@pytest.mark.parametrize(
    ("django", "message"),
    [
        ({"Q_CLUSTER": {"wrokers": 2}}, r"E201 Q_CLUSTER\['wrokers'\] is no key .*'workers'\?"),
        (
            {"Q_CLUSTER": {"ALT_CLUSTERS": {"long": {"tiemout": 2}}}},
            r"E201 Q_CLUSTER\['ALT_CLUSTERS'\]\['long'\]\['tiemout'\] .*'timeout'\?",
        ),
        ({"ZTASKD_RETRY_CUONT": 2}, r"E201 ZTASKD_RETRY_CUONT is no .*'ZTASKD_RETRY_COUNT'\?"),
        ({"Q_CLUSTER": 7}, "E202 Q_CLUSTER must be a dict; it is 7."),
        ({"Q_CLUSTER": {"ALT_CLUSTERS": [1]}}, r"E202 Q_CLUSTER\['ALT_CLUSTERS'\] must be a dict"),
        ({"Q_WORKERS": "many"}, "E202 Q_WORKERS, here fleet.processes, must be .*it is 'many'"),
        ({"Q_CLUSTER": {"timeout": "x"}}, r"E202 Q_CLUSTER\['timeout'\], here fleet.time_limit,"),
        ({"Q_PREFIX": "my site"}, "E202 Q_PREFIX, here prefix, must be a text without white"),
        ({"Q_SAVE_LIMIT": -2}, "E202 Q_SAVE_LIMIT, here save_limit, must be"),
        ({"GEARMAN_SERVERS": ["a:port"]}, "E202 GEARMAN_SERVERS, here servers, must be .*a:port"),
        ({"GEARMAN_CLIENT_NAMESPACE": 3}, "E202 GEARMAN_CLIENT_NAMESPACE, here prefix, must be"),
        ({"ZTASKD_ON_LOAD": "shop.begin"}, "E202 ZTASKD_ON_LOAD, here hooks.on_start, must be"),
        ({"ZTASKD_DISABLED": "no"}, "E202 ZTASKD_DISABLED, here disabled, must be true or false"),
        ({"GEARFLEET": {"SERVRES": []}}, "E203 The settings of gearfleet .*'servers'"),
        ({"GEARFLEET": 7}, "E203 The settings of gearfleet .*must be a dict"),
    ],
)
def test_what_is_wrong_is_said_with_the_fix(django: dict[str, Any], message: str) -> None:
    assert re.match(message, one(**django))
    if "E202" in message or "E203" in message:
        with pytest.raises(ConfigError):
            read(**django)
    else:
        read(**django)


def test_a_wrong_one_does_not_count_among_others() -> None:
    found = told(Q_CLUSTER={"workers": "many"}, Q_WORKERS=3)
    assert [text[:5] for text in found] == ["E202 ", "I201 "]


@pytest.mark.parametrize(
    ("django", "message"),
    [
        ({"Q_WORKERS": "many"}, "Q_WORKERS, here fleet.processes, must be"),
        ({"GEARFLEET": {"SERVRES": []}}, "Unknown setting 'servres'"),
        ({"Q_CLUSTER": {"wrokers": 2}}, "gearfleet.E201"),
    ],
)
@pytest.mark.parametrize("command", ["qinfo", "gearman_submit_job shop.f"])
def test_a_command_of_ours_ends_with_the_code_of_the_configuration(
    django: dict[str, Any],
    message: str,
    command: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from django.core.management import load_command_class
    from django.test import override_settings

    words = command.split()
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "of_the_tests")
    with override_settings(**django), pytest.raises(SystemExit) as ended:
        load_command_class("gearfleet.contrib.django", words[0]).run_from_argv(
            ["manage.py", *words]
        )
    assert ended.value.code == 78
    assert message in capsys.readouterr().err


def test_a_project_that_is_still_installed_has_its_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("django.apps.apps.is_installed", lambda name: name == "django_q")
    assert told(Q_CLUSTER={"bulk": 3}) == []


def test_only_who_asks_is_told_what_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django checks before nearly every command."""
    monkeypatch.setattr("sys.argv", ["manage.py", "migrate"])
    assert told(Q_CLUSTER={"workers": 3}, ZTASKD_URL="x") == [
        "W201 ZTASKD_URL means nothing to gearfleet: gearmand takes the place of the ZeroMQ sockets, "
        "and GEARFLEET['SERVERS'] names it."
    ]


def test_what_is_no_table_is_left_to_the_reader_of_the_settings() -> None:
    found = tuple(django_q.readings(SimpleNamespace(Q_WORKERS=3)))
    assert with_readings({"fleet": 5}, found) == ({"fleet": 5}, {})


def test_check__as_its_user_sees_it(tmp_path: Path) -> None:
    project = make_project(tmp_path, "127.0.0.1:1", {})
    project.add_settings("Q_CLUSTER = {'workers': 4, 'bulk': 3, 'orm': 'default'}\n")
    done = run(project.manage("check"), cwd=tmp_path, env=project.environment)
    assert done.returncode == 0, done.stderr
    assert "(gearfleet.I201) Q_CLUSTER['workers'] means here: fleet.processes = 4." in done.stderr
    assert "HINT: Or: GEARFLEET = {'FLEET': {'processes': 4}}" in done.stderr
    assert done.stderr.count("gearfleet.W201") == 2
