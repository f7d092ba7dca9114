"""Settings: one frozen `Settings`, read from a file, Django, the environment or a dict."""

from gearfleet.config.options import DEFAULTS, OPTIONS, Option, Value
from gearfleet.config.reader import HOOKS, check_servers, read_settings
from gearfleet.config.settings import DEFAULT_SERVERS, Host, Layers, Options, Settings
from gearfleet.config.sources import (
    current,
    load,
    release_of,
    split_list,
    use,
    using,
    with_environment,
)

__all__ = [
    "DEFAULTS",
    "DEFAULT_SERVERS",
    "HOOKS",
    "OPTIONS",
    "Host",
    "Layers",
    "Option",
    "Options",
    "Settings",
    "Value",
    "check_servers",
    "current",
    "load",
    "read_settings",
    "release_of",
    "split_list",
    "use",
    "using",
    "with_environment",
]
