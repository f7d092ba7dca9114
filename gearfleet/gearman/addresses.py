"""Where a job server listens: every form in which users write it, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearfleet.errors import LocalProtocolError
from gearfleet.gearman.protocol import DEFAULT_PORT

if TYPE_CHECKING:
    from collections.abc import Iterable

_FORMS = "use 'host', 'host:port', '[v6]:port' or ('host', port)"


@dataclass(frozen=True, slots=True)
class Address:
    """The host and port of one job server."""

    host: str
    port: int = DEFAULT_PORT

    def __post_init__(self) -> None:
        if not self.host or any(letter.isspace() for letter in self.host):
            raise LocalProtocolError(f"No host in the job server address {self.host!r}; {_FORMS}")
        if not 0 < self.port < 65536:
            raise LocalProtocolError(f"The port of job server {self.host} is {self.port}; {_FORMS}")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @classmethod
    def parse(cls, value: AddressLike) -> Address:
        """Return the address that `value` means.

        Raises:
            LocalProtocolError: (a ValueError) the value has none of the forms.

        Example:
            >>> str(Address.parse("[::1]:4731")), str(Address.parse("queue.example"))
            ('[::1]:4731', 'queue.example:4730')
        """
        if isinstance(value, Address):
            return value
        if isinstance(value, str):
            return cls(*_split(value))
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
            return cls(value[0], _port(value[1], value))
        raise LocalProtocolError(f"Cannot read the job server address {value!r}; {_FORMS}")


AddressLike = Address | str | tuple[str, int]


def parse_all(host_list: AddressLike | Iterable[AddressLike] | None) -> tuple[Address, ...]:
    """Return the addresses of a list, or of a single one, each of them once."""
    if host_list is None:
        return ()
    if isinstance(host_list, str | Address):
        return (Address.parse(host_list),)
    return tuple(dict.fromkeys(Address.parse(value) for value in host_list))  # type: ignore[arg-type]


def _split(value: str) -> tuple[str, int]:
    host, port = value.strip(), ""
    if host.startswith("["):
        host, bracket, rest = host[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise LocalProtocolError(f"Cannot read the job server address {value!r}; {_FORMS}")
        port = rest[1:]
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
        if not port:
            raise LocalProtocolError(f"No port after ':' in {value!r}; {_FORMS}")
    return host, _port(port, value) if port else DEFAULT_PORT


def _port(port: object, value: object) -> int:
    text = str(port)
    if not (text.isascii() and text.isdigit()):
        raise LocalProtocolError(f"Port {port!r} in {value!r} is not a number; {_FORMS}")
    return int(text)
