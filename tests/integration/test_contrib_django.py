"""The app in a Django project that is set up, in a process of its own."""

from __future__ import annotations

import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import clean_environment, run

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """
SECRET_KEY = "only for this test"
INSTALLED_APPS = ["gearfleet.contrib.django", "django.contrib.contenttypes", "shop.apps.ShopConfig"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
GEARFLEET = {"SERVERS": ["127.0.0.1:4001"], "PREFIX": "staging."}
"""

SHOP = """
from django.apps import AppConfig

class ShopConfig(AppConfig):
    name = "shop"
    label = "store"
"""


def run_in_project(folder: Path, script: str, settings: str = SETTINGS) -> str:
    (folder / "settings.py").write_text(settings)
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").touch()
    (folder / "shop" / "apps.py").write_text(SHOP)
    done = run(
        [sys.executable, "-W", "error", "-c", dedent(script)],
        cwd=folder,
        env=clean_environment(DJANGO_SETTINGS_MODULE="settings"),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("vendor", ["sqlite3", "postgresql"])
def test_rehearsal__asks_no_database(tmp_path: Path, vendor: str) -> None:
    """That of PostgreSQL is not even there."""
    if vendor == "postgresql":
        pytest.importorskip("psycopg")
    script = """
        import logging, django
        django.setup()
        logging.getLogger("gearfleet").setLevel("DEBUG")
        logging.basicConfig(format="trouble: %(message)s")
        from django.db import connection
        from django.db.models.sql.compiler import SQLCompiler
        from gearfleet.contrib.django import project, rehearsal

        as_sql, made = SQLCompiler.as_sql, []
        SQLCompiler.as_sql = lambda self: made.append(as_sql(self)[0])
        connection.ensure_connection = None  # which nobody can call
        rehearsal.rehearse(connection)
        print(len(made), len(set(made)), all(sql.startswith("SELECT") for sql in made))
        project.before_fork()
        print(len(made))
    """
    settings = SETTINGS.replace("sqlite3", vendor)
    assert run_in_project(tmp_path, script, settings).splitlines() == ["6 3 True", "12"]


def test_app__settings_are_those_of_the_process(tmp_path: Path) -> None:
    script = """
        import django
        django.setup()
        from django.apps import apps
        from django.test import override_settings
        from gearfleet import config

        print(apps.get_app_config("gearfleet").name)
        print(config.current().servers, config.current().prefix, config.current().apps)
        with override_settings(GEARFLEET={"SERVERS": ["127.0.0.1:4002"]}):
            print(config.current().servers)
        print(config.current().servers)
    """
    assert run_in_project(tmp_path, script).splitlines() == [
        "gearfleet.contrib.django",
        "('127.0.0.1:4001',) staging. "
        "('gearfleet.contrib.django', 'django.contrib.contenttypes', 'shop')",
        "('127.0.0.1:4002',)",
        "('127.0.0.1:4001',)",
    ]


def test_project__installed_apps_have_djangos_labels(tmp_path: Path) -> None:
    script = """
        from gearfleet.contrib.django.project import installed_apps, setup
        setup()
        print([(app.name, app.label) for app in installed_apps()])
    """
    assert run_in_project(tmp_path, script).strip() == str(
        [
            ("gearfleet.contrib.django", "gearfleet"),
            ("django.contrib.contenttypes", "contenttypes"),
            ("shop", "store"),
        ]
    )


def test_project__named_apps_keep_djangos_labels(tmp_path: Path) -> None:
    script = """
        from gearfleet.contrib.django.project import installed_apps, setup
        setup()
        print([(app.name, app.label) for app in installed_apps()])
    """
    settings = SETTINGS + "GEARFLEET['APPS'] = ['shop', 'elsewhere.jobs']\n"
    assert run_in_project(tmp_path, script, settings).strip() == str(
        [("shop", "store"), ("elsewhere.jobs", "jobs")]
    )


def test_project__the_database_hooks_can_be_used(tmp_path: Path) -> None:
    script = """
        from gearfleet.contrib.django.project import django_settings, setup
        from gearfleet.worker import hooks
        setup()
        selected = hooks.select("shop.tasks", django_settings().hooks)
        from django.db import connection
        connection.ensure_connection()
        connection.close_at = 0
        hooks.run(selected.after_job, "job", "outcome")
        print(connection.connection is None, selected.before_job[0].name)
    """
    settings = SETTINGS.replace(":memory:", "db.sqlite3")
    expected = "True gearfleet.contrib.django.connections.close_old\n"
    assert run_in_project(tmp_path, script, settings) == expected


def test_connections__are_looked_for_while_the_thread_has_one_open(tmp_path: Path) -> None:
    script = """
        import threading
        import django
        django.setup()
        from django.db import connection, connections
        from gearfleet.contrib.django import connections as ours
        looks = []
        ours.close_old_connections = lambda: looks.append(connection.connection is not None)

        def work():
            ours.close_old()                 # whatever was opened before
            ours.close_old()
            connection.ensure_connection()
            ours.close_old()
            ours.close_old()
            connection.close()               # as CONN_MAX_AGE has it
            ours.close_old()
            ours.close_old()
            connection.ensure_connection()   # another one
            ours.close_old()
            connection.close()
            print(looks)

        connection.ensure_connection()       # of another thread, which this one must not touch
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    """
    settings = SETTINGS.replace(":memory:", "db.sqlite3")
    expected = "[False, True, True, False, True]\n"
    assert run_in_project(tmp_path, script, settings) == expected


def test_setup__settings_that_do_not_import(tmp_path: Path) -> None:
    script = """
        from gearfleet.contrib.django.project import setup
        from gearfleet.errors import WorkerModuleImportError
        try:
            setup()
        except WorkerModuleImportError as error:
            print(error, repr(error.__cause__))
    """
    said = run_in_project(tmp_path, script, "import nowhere_at_all")
    assert "settings 'settings': ModuleNotFoundError: No module named 'nowhere_at_all'" in said
    assert "ModuleNotFoundError(" in said
