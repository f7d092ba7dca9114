"""Results: what became of jobs, kept where their callers find it."""

from gearfleet.results.memory import MemoryStore
from gearfleet.results.names import readable_name
from gearfleet.results.record import Sealed, State, TaskRecord, seal
from gearfleet.results.retention import Retention
from gearfleet.results.store import Part, ResultStore, open_store

__all__ = [
    "MemoryStore",
    "Part",
    "ResultStore",
    "Retention",
    "Sealed",
    "State",
    "TaskRecord",
    "open_store",
    "readable_name",
    "seal",
]
