"""python-gearman's API on Python 3: client, worker and admin client, usable alone.

Bytes in, bytes out; nothing here knows of gearfleet's tasks or settings.
"""

from typing import TYPE_CHECKING

from gearfleet._late import late
from gearfleet._version import __version__
from gearfleet.errors import (
    AmbiguousSubmit,
    ConnectionError,
    ExceededConnectionAttempts,
    FunctionInUse,
    GearmanError,
    InvalidAdminClientState,
    InvalidClientState,
    InvalidWorkerState,
    JobFailed,
    JobTimeout,
    LocalProtocolError,
    ProtocolError,
    ServerError,
    ServerUnavailable,
    TLSError,
    UnknownCommandError,
)
from gearfleet.gearman import errors

if TYPE_CHECKING:
    from gearfleet.gearman.addresses import Address
    from gearfleet.gearman.admin import GearmanAdminClient
    from gearfleet.gearman.aio import AsyncGearmanClient, AsyncJobStream
    from gearfleet.gearman.client import GearmanClient
    from gearfleet.gearman.encoding import DataEncoder
    from gearfleet.gearman.jobs import (
        JOB_COMPLETE,
        JOB_CREATED,
        JOB_FAILED,
        JOB_PENDING,
        JOB_QUEUED,
        JOB_UNKNOWN,
        PRIORITY_HIGH,
        PRIORITY_LOW,
        PRIORITY_NONE,
        GearmanJob,
        GearmanJobRequest,
    )
    from gearfleet.gearman.machine import Timing
    from gearfleet.gearman.manager import GearmanConnectionManager
    from gearfleet.gearman.status import JobStatus
    from gearfleet.gearman.streams import JobData, JobProgress, JobResult, JobStream, JobWarning
    from gearfleet.gearman.text import (
        FunctionStatus,
        KnownJob,
        PriorityStatus,
        Version,
        WorkerStatus,
    )
    from gearfleet.gearman.tls import TLS
    from gearfleet.gearman.worker import GearmanWorker

# A worker needs half of it, and whoever only reads an address next to nothing.
_HOMES = {
    "JOB_COMPLETE": "gearfleet.gearman.jobs",
    "JOB_CREATED": "gearfleet.gearman.jobs",
    "JOB_FAILED": "gearfleet.gearman.jobs",
    "JOB_PENDING": "gearfleet.gearman.jobs",
    "JOB_QUEUED": "gearfleet.gearman.jobs",
    "JOB_UNKNOWN": "gearfleet.gearman.jobs",
    "PRIORITY_HIGH": "gearfleet.gearman.jobs",
    "PRIORITY_LOW": "gearfleet.gearman.jobs",
    "PRIORITY_NONE": "gearfleet.gearman.jobs",
    "TLS": "gearfleet.gearman.tls",
    "Address": "gearfleet.gearman.addresses",
    "AsyncGearmanClient": "gearfleet.gearman.aio",
    "AsyncJobStream": "gearfleet.gearman.aio",
    "DataEncoder": "gearfleet.gearman.encoding",
    "FunctionStatus": "gearfleet.gearman.text",
    "GearmanAdminClient": "gearfleet.gearman.admin",
    "GearmanClient": "gearfleet.gearman.client",
    "GearmanConnectionManager": "gearfleet.gearman.manager",
    "GearmanJob": "gearfleet.gearman.jobs",
    "GearmanJobRequest": "gearfleet.gearman.jobs",
    "GearmanWorker": "gearfleet.gearman.worker",
    "JobData": "gearfleet.gearman.streams",
    "JobProgress": "gearfleet.gearman.streams",
    "JobResult": "gearfleet.gearman.streams",
    "JobStatus": "gearfleet.gearman.status",
    "JobStream": "gearfleet.gearman.streams",
    "JobWarning": "gearfleet.gearman.streams",
    "KnownJob": "gearfleet.gearman.text",
    "PriorityStatus": "gearfleet.gearman.text",
    "Timing": "gearfleet.gearman.machine",
    "Version": "gearfleet.gearman.text",
    "WorkerStatus": "gearfleet.gearman.text",
}

__all__ = [
    "JOB_COMPLETE",
    "JOB_CREATED",
    "JOB_FAILED",
    "JOB_PENDING",
    "JOB_QUEUED",
    "JOB_UNKNOWN",
    "PRIORITY_HIGH",
    "PRIORITY_LOW",
    "PRIORITY_NONE",
    "TLS",
    "Address",
    "AmbiguousSubmit",
    "AsyncGearmanClient",
    "AsyncJobStream",
    "ConnectionError",
    "DataEncoder",
    "ExceededConnectionAttempts",
    "FunctionInUse",
    "FunctionStatus",
    "GearmanAdminClient",
    "GearmanClient",
    "GearmanConnectionManager",
    "GearmanError",
    "GearmanJob",
    "GearmanJobRequest",
    "GearmanWorker",
    "InvalidAdminClientState",
    "InvalidClientState",
    "InvalidWorkerState",
    "JobData",
    "JobFailed",
    "JobProgress",
    "JobResult",
    "JobStatus",
    "JobStream",
    "JobTimeout",
    "JobWarning",
    "KnownJob",
    "LocalProtocolError",
    "PriorityStatus",
    "ProtocolError",
    "ServerError",
    "ServerUnavailable",
    "TLSError",
    "Timing",
    "UnknownCommandError",
    "Version",
    "WorkerStatus",
    "__version__",
    "errors",
]

__getattr__, __dir__ = late(__name__, _HOMES)
