"""What client and worker have in common: the places where a subclass may change them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar

from gearfleet.gearman.addresses import parse_all
from gearfleet.gearman.encoding import DataEncoder, NoopEncoder
from gearfleet.gearman.jobs import GearmanJob, GearmanJobRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gearfleet.gearman.addresses import Address, AddressLike

# The messages of subclasses, as in python-gearman. Ours go to gearfleet.gearman.*
logging.getLogger("gearman").addHandler(logging.NullHandler())


class GearmanConnectionManager:
    """The base of client and worker, with python-gearman's extension points.

    Set the class attributes in a subclass. Those of python-gearman that name
    parts of its loop (`command_handler_class`, `connection_class`) mean nothing
    here.
    """

    #: How values become payloads, and payloads values.
    data_encoder: ClassVar[type[DataEncoder]] = NoopEncoder
    #: What the jobs are, a subclass of `GearmanJob`.
    job_class: ClassVar[type[GearmanJob]] = GearmanJob
    #: What a client's requests are, a subclass of `GearmanJobRequest`.
    job_request_class: ClassVar[type[GearmanJobRequest]] = GearmanJobRequest
    #: For messages of subclasses; what is said here goes to `gearfleet.gearman` and below.
    log: ClassVar[logging.Logger] = logging.getLogger("gearman")

    def __init__(self, host_list: AddressLike | Iterable[AddressLike] | None) -> None:
        #: The job servers.
        self.addresses: tuple[Address, ...] = parse_all(host_list)

    def add_connection(self, host: AddressLike) -> Address:
        """Use one more job server from now on; return its address.

        Raises:
            LocalProtocolError: (a ValueError) the address has none of the known forms,
                or its TLS files cannot be used.
        """
        (address,) = parse_all([host])
        self.addresses = tuple(dict.fromkeys((*self.addresses, address)))
        return address

    def add_ssl_connection(
        self, host: str, port: int, keyfile: str, certfile: str, ca_certs: str
    ) -> Address:
        """Use one more job server, by TLS; see `add_connection`."""
        return self.add_connection(
            {
                "host": host,
                "port": port,
                "keyfile": keyfile,
                "certfile": certfile,
                "ca_certs": ca_certs,
            }
        )
