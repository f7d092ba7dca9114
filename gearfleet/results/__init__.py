"""Results: what became of jobs, kept where their callers find it."""

from gearfleet.results.memory import MemoryStore
from gearfleet.results.names import readable_name
from gearfleet.results.record import Sealed, State, TaskRecord, seal
from gearfleet.results.retention import Retention
from gearfleet.results.store import Part, ResultStore, open_store
from gearfleet.results.tally import Counting, Kept, Tally

__all__ = [
    "Counting",
    "Kept",
    "MemoryStore",
    "Part",
    "ResultStore",
    "Retention",
    "Sealed",
    "State",
    "Tally",
    "TaskRecord",
    "open_store",
    "readable_name",
    "seal",
]
