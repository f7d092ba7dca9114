"""A Django project as gearfleet sees it: its settings and its apps.

    GEARFLEET = {
        "SERVERS": ["127.0.0.1:4730"],
        "FLEET": {"processes": 2},
        "QUEUES": {"bar": {"processes": 4}},
    }

The keys are those of gearfleet.toml, in upper or lower case. Names of queues,
programs, hosts and environment variables are kept as they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from gearfleet.config import read_settings, with_environment
from gearfleet.contrib.django import originals
from gearfleet.contrib.django.originals import ztask
from gearfleet.errors import ConfigError, WorkerModuleImportError
from gearfleet.results.store import close_stores
from gearfleet.tasks import App, apps_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gearfleet.config import Settings

ORIGIN = "Django settings GEARFLEET"

#: With what jobs are signed, unless GEARFLEET says otherwise.
SECRETS = ("SECRET_KEY", "SECRET_KEY_FALLBACKS")

#: The hook that hands failures on to the error reporters of Django Q.
REPORTER = "gearfleet.contrib.django.reporters.report"

#: All settings that `django_settings` reads.
SETTINGS = originals.SETTINGS | {"GEARFLEET", "BASE_DIR", "USE_TZ", "TIME_ZONE", *SECRETS}

#: As Django does around a request, so that a job never gets a connection that
#: the database has closed meanwhile.
DATABASE_HOOKS = {
    "before_job": ("gearfleet.contrib.django.connections.close_old",),
    "after_job": ("gearfleet.contrib.django.connections.close_old",),
}

#: Those that send the signals, where the app is installed.
SIGNAL_HOOKS = {
    "on_start": ("gearfleet.contrib.django.signals.tell_start",),
    "before_job": ("gearfleet.contrib.django.signals.tell_begin",),
    "after_job": ("gearfleet.contrib.django.signals.tell_end",),
}


def setup() -> None:
    """Set Django up, unless it is.

    Raises:
        WorkerModuleImportError: the settings or an app do not import; its
            exception is the cause.
    """
    import django

    try:
        django.setup()
    except Exception as error:
        module = os.environ.get("DJANGO_SETTINGS_MODULE", "")
        raise WorkerModuleImportError(
            f"Django cannot be set up with the settings '{module}': {type(error).__name__}: {error}"
        ) from error


def before_fork() -> None:
    """Close what the import has connected to; a connection must not have two processes.

    The code of the databases, which Django imports late, is imported: the processes share it.
    """
    from django.apps import apps
    from django.core.cache import caches
    from django.db import connections

    for connection in connections.all():
        import_module(f"{connection.settings_dict['ENGINE']}.base")
        connection.ops.compiler("SQLCompiler")
    if django_settings().results.startswith("django"):
        import_module("gearfleet.contrib.django.results")
    if apps.is_installed("gearfleet.contrib.django"):
        import_module("gearfleet.contrib.django.rehearsal").rehearse(connections["default"])
    close_stores()
    connections.close_all()
    caches.close_all()


def django_settings() -> Settings:
    """Return gearfleet's settings of the Django project, which must be set up; see `read_django`."""
    from django.conf import settings

    return read_django(settings, installed=_installed(), environ=os.environ)


def read_django(
    django: object, *, installed: Iterable[App], environ: Mapping[str, str]
) -> Settings:
    """Return the settings that the attributes of `django` mean.

    Raises:
        ConfigError: GEARFLEET has an unknown key or a value of the wrong kind.
    """
    lowered = table_of(django)
    root = Path(getattr(django, "BASE_DIR", None) or Path.cwd())
    merged, sources = _with_originals(lowered, django)
    installed = tuple(installed)
    has_app = any(app.label == "gearfleet" for app in installed)
    if has_app:
        merged.setdefault("schedule_store", "django")
    settings = read_settings(merged, root=root, origin=ORIGIN)
    if not settings.apps:
        apps = tuple(app.name for app in installed)
        settings = settings.changed("Django settings INSTALLED_APPS", apps=apps)
    if "signing_keys" not in lowered and (secrets := _secrets(django)):
        settings = settings.changed("Django settings SECRET_KEY", signing_keys=secrets)
    hooks = _with_reporters(_with_on_load(settings.hooks, django), django)
    settings = replace(
        settings,
        hooks=_joined_hooks(DATABASE_HOOKS, SIGNAL_HOOKS if has_app else {}, hooks),
        sources={**settings.sources, **sources},
    )
    return with_environment(settings, environ)


def installed_apps() -> tuple[App, ...]:
    """Return the apps to search for tasks: every installed one, unless the settings name some."""
    installed = {app.name: app for app in _installed()}
    return tuple(installed.get(app.name, app) for app in apps_of(django_settings().apps))


def template_folders() -> list[Path]:
    """Return the folders in which the project has templates; it must be set up."""
    from django.conf import settings

    folders = [folder for engine in settings.TEMPLATES for folder in engine.get("DIRS", ())]
    return [Path(folder) for folder in folders if Path(folder).is_dir()]


def _installed() -> tuple[App, ...]:
    from django.apps import apps

    return tuple(App(name=one.name, label=one.label) for one in apps.get_app_configs())


def table_of(django: object) -> dict[str, Any]:
    """Return GEARFLEET with the keys of a settings file.

    Raises:
        ConfigError: it is no dict.
    """
    table = getattr(django, "GEARFLEET", {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"{ORIGIN} must be a dict; it is {table!r}")
    lowered: dict[str, Any] = _lower(table)
    return lowered


def _with_originals(table: dict[str, Any], django: object) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the table under which the originals' own settings lie, and which of them gave what."""
    merged, sources = originals.with_readings(table, originals.readings(django))
    if getattr(django, "USE_TZ", True):
        merged.setdefault("time_zone", getattr(django, "TIME_ZONE", None) or "UTC")
    return merged, sources


def _secrets(django: object) -> tuple[str, ...]:
    """Return the keys of Django's own signatures; none where the project has none."""
    from django.core.exceptions import ImproperlyConfigured

    try:
        found = getattr(django, "SECRET_KEY", None)
    except ImproperlyConfigured:  # it is empty, which Django minds when it is needed
        return ()
    secrets = [found, *(getattr(django, "SECRET_KEY_FALLBACKS", None) or ())]
    return tuple(_secret(secret) for secret in secrets if secret)


def _secret(secret: str | bytes) -> str:
    return secret.decode("latin-1") if isinstance(secret, bytes) else str(secret)


def _with_on_load(
    hooks: Mapping[str, tuple[str, ...]], django: object
) -> dict[str, tuple[str, ...]]:
    """Return `hooks` with what django-ztask calls at each start, first and in its order."""
    named = tuple(getattr(django, ztask.ON_LOAD, None) or ())
    started = (*named, *hooks.get("on_start", ()))
    return {**hooks, "on_start": started} if named else dict(hooks)


def _with_reporters(
    hooks: Mapping[str, tuple[str, ...]], django: object
) -> dict[str, tuple[str, ...]]:
    """Return `hooks` with the error reporters of Django Q, if its settings name some."""
    cluster = getattr(django, "Q_CLUSTER", None)
    if not (isinstance(cluster, Mapping) and cluster.get("error_reporter")):
        return dict(hooks)
    return _joined_hooks({"on_failure": (REPORTER,)}, hooks)


def _joined_hooks(*tables: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the hooks of all tables, in their order."""
    names = dict.fromkeys(name for table in tables for name in table)
    return {name: tuple(path for t in tables for path in t.get(name, ())) for name in names}


# From Django's habit (upper case, Path) to that of a settings file. What is no
# table passes unchanged: the reader of the settings names it as a mistake.


def _lower(value: Any) -> Any:
    """Return the whole table, or the part of one host, as the settings file has it."""
    return _table(value, lambda key, item: (key.lower(), _PARTS.get(key.lower(), _text)(item)))


def _options(value: Any) -> Any:
    return _table(value, lambda key, item: (key.lower(), _text(item)))


def _named(part: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: _table(value, lambda name, item: (name, part(item)))


_PARTS: Mapping[str, Callable[[Any], Any]] = {
    "fleet": _options,
    "hooks": _options,
    "queues": _named(_options),
    "programs": _named(_options),
    "hosts": _named(_lower),
    "schedules": _named(_options),
}


def _table(value: Any, change: Callable[[str, Any], tuple[str, Any]]) -> Any:
    if not isinstance(value, Mapping):
        return value
    return dict(change(str(key), item) for key, item in value.items())


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, PurePath) else value
