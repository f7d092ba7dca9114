"""Settings: one frozen `Settings`, read from a file, Django, the environment or a dict."""

from gearfleet.config.options import DEFAULTS, OPTIONS, Option, Value
from gearfleet.config.reader import HOOKS, check_servers, read_settings
from gearfleet.config.settings import (
    DEFAULT_SERVERS,
    GroupSettings,
    Host,
    Layers,
    Options,
    Settings,
    toml_key,
)
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
    "GroupSettings",
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
    "toml_key",
    "use",
    "using",
    "with_environment",
]
