"""How a job server is to be reached by TLS, as a value: the transport makes a context of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TLS:
    """The certificates for one job server; its own one is verified in every case.

    Attributes:
        ca_certs: a file with the authorities to trust; None means the system's.
        certfile: a file with our own certificate, if the job server asks for one.
        keyfile: a file with its key; None means that it stands in `certfile`.
    """

    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
