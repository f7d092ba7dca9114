"""The project that a command works on: its settings and its apps."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from gearfleet import config
from gearfleet.errors import UsageError, WorkerModuleImportError

if TYPE_CHECKING:
    import argparse

    from gearfleet.config import Settings
    from gearfleet.tasks import App

DJANGO = "DJANGO_SETTINGS_MODULE"


class Project(NamedTuple):
    """What a command knows of the user's project.

    Attributes:
        settings: with the command line applied.
        apps: that are searched for worker modules.
        django_settings: the settings module under Django, else None.
    """

    settings: Settings
    apps: tuple[App, ...]
    django_settings: str | None = None


def load_project(args: argparse.Namespace) -> Project:
    """Read the settings of the project that `args` name, and make them those of the process.

    Raises:
        ConfigError: the settings are wrong.
        WorkerModuleImportError: Django's settings or apps do not import.
    """
    module = _django_settings(args)
    project = _django_project(module) if module else _plain_project(args)
    project = _with_command_line(project, args)
    _import_from(str(project.settings.root))
    config.use(project.settings)
    return project


def require_apps(project: Project) -> Project:
    """Return `project` if it has apps, else raise `UsageError` that says how to name one."""
    if project.apps:
        return project
    raise UsageError(
        "No package to search for tasks: name one with --app PACKAGE, GEARFLEET_APP or "
        "'apps' in gearfleet.toml; for Django give --settings MODULE"
    )


def program_of(args: argparse.Namespace) -> str:
    """Return the program that this process belongs to, by which its worker is known."""
    return os.environ.get("GEARFLEET_PROGRAM") or ",".join(args.worker_name) or str(args.verb)


def _django_settings(args: argparse.Namespace) -> str | None:
    if getattr(args, "config", None):
        return None
    return getattr(args, "settings", None) or os.environ.get(DJANGO)


def _plain_project(args: argparse.Namespace) -> Project:
    from gearfleet.tasks import apps_of

    settings = config.load(getattr(args, "config", None))
    return Project(settings=settings, apps=apps_of(settings.apps))


def _django_project(module: str) -> Project:
    _import_from(str(os.getcwd()))  # noqa: PTH109 - the empty entry of sys.path, spelt out
    os.environ[DJANGO] = module
    try:
        contrib = import_module("gearfleet.contrib.django.project")
        contrib.setup()
    except ImportError as error:
        raise WorkerModuleImportError(f"Django settings '{module}' do not import") from error
    return Project(
        settings=contrib.django_settings(), apps=contrib.installed_apps(), django_settings=module
    )


def _with_command_line(project: Project, args: argparse.Namespace) -> Project:
    """Apply ``--app`` and ``--servers``; rendered workers are told of both."""
    from gearfleet.tasks import apps_of

    settings, apps = project.settings, project.apps
    told = dict(settings.rendered_environment)
    if servers := getattr(args, "servers", None):
        checked = config.check_servers(config.split_list(servers), "--servers")
        settings = settings.changed("command line --servers", servers=checked, worker_servers=())
        told["GEARFLEET_SERVERS"] = servers
    if named := getattr(args, "app", None):
        known = {name: app for app in apps for name in (app.name, app.label)}
        apps = tuple(known.get(name) or apps_of([name])[0] for name in named)
        settings = settings.changed("command line --app", apps=tuple(app.name for app in apps))
        told["GEARFLEET_APP"] = ",".join(settings.apps)
    settings = replace(settings, rendered_environment=told)
    return project._replace(settings=settings, apps=apps)


def _import_from(directory: str) -> None:
    if directory not in sys.path:
        sys.path.insert(0, directory)
