"""User and password for a host's supervisord: from the environment, or from netrc, as curl does."""

from __future__ import annotations

import os
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gearfleet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gearfleet.config.settings import Host


def credentials_of(host: Host, environ: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """Return user and password for the URL of `host`, or None if it asks for none that is known.

    The variables that the settings name decide; without them ``$NETRC`` or
    ``~/.netrc`` does, by the name of the machine in the URL.

    Raises:
        ConfigError: a variable that the settings name is not set, or netrc cannot be read.
    """
    environ = os.environ if environ is None else environ
    if host.username_env or host.password_env:
        return _variable(host.username_env, environ), _variable(host.password_env, environ)
    machine = urlsplit(host.url or "").hostname
    return _from_netrc(machine, environ) if machine else None


def _variable(name: str | None, environ: Mapping[str, str]) -> str:
    if name and name not in environ:
        raise ConfigError(f"The settings name the variable {name} for a supervisord; it is not set")
    return environ[name] if name else ""


def _from_netrc(machine: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    path = Path(environ.get("NETRC") or Path(environ.get("HOME", "~")).expanduser() / ".netrc")
    try:
        found = netrc(path).authenticators(machine)
    except FileNotFoundError:
        return None
    except NetrcParseError as error:  # its message names file and line
        raise ConfigError(f"Cannot read the credentials of {machine}: {error}") from error
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}") from error
    return (found[0], found[2] or "") if found else None
