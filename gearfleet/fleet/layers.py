"""From the layers of the settings to the options of one program, and where each came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gearfleet.config import DEFAULTS, toml_key
from gearfleet.config.options import COMMAND_DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gearfleet.config import Layers, Options, Settings, Value
    from gearfleet.fleet.slots import Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The options of one program after all layers.

    Attributes:
        values: gearfleet's and Supervisor's options, without the environment.
        environment: the variables that settings give, merged key by key.
        sources: the setting's key of each option and each ``environment.NAME``.
    """

    values: Mapping[str, Value]
    environment: Mapping[str, str]
    sources: Mapping[str, str]

    def get(self, option: str) -> Any:
        """Return an option's value; its kind was checked when the settings were read."""
        return self.values.get(option)


def resolve(settings: Settings, host: str | None, slot: Slot) -> Resolved:
    """Return the options of the program `slot` on `host`, the strongest layer last to speak."""
    defaults = DEFAULTS if slot.modules else COMMAND_DEFAULTS
    values = {name: value for name, value in defaults.items() if name != "environment"}
    if slot.command:  # ours, so its exit codes are those of a worker
        known = {name: DEFAULTS[name] for name in ("autorestart", "exitcodes")}
        values |= {"command": slot.command, **known}
    environment: dict[str, str] = {}
    sources: dict[str, str] = {}
    for path, table in _tables(settings, host, slot):
        options = dict(table)
        variables: Any = options.pop("environment", {})
        environment.update(variables)
        sources.update({f"environment.{key}": f"{path}.environment.{key}" for key in variables})
        values.update(options)
        sources.update({name: f"{path}.{name}" for name in options})
    return Resolved(values=values, environment=environment, sources=sources)


def _tables(settings: Settings, host: str | None, slot: Slot) -> Iterator[tuple[str, Options]]:
    for path, layers in settings.layers_of(host):
        yield from _tables_of(layers, path, slot)


def _tables_of(layers: Layers, path: str, slot: Slot) -> Iterator[tuple[str, Options]]:
    """Yield the tables that speak of `slot`, the weakest first; an address beats a name."""
    # How many workers there are says nothing of the program that is ours.
    left_out = {"processes"} if slot.command else set()
    yield (
        f"{path}fleet",
        {key: item for key, item in layers.fleet.items() if key not in left_out},
    )
    if slot.queue in layers.queues:
        yield f"{path}queues.{toml_key(slot.queue)}", layers.queues[slot.queue]
    for key in dict.fromkeys((slot.short, slot.address)):
        if key in layers.programs:
            yield f"{path}programs.{toml_key(key)}", layers.programs[key]
