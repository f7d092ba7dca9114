"""The embedded job server: gearmand's semantics in memory, its traps mended.

For development, tests and demonstrations; production runs gearmand.
"""

from __future__ import annotations

from gearfleet.gearman.server.embedded import EmbeddedServer
from gearfleet.gearman.server.service import Limits, run, serve

__all__ = ["EmbeddedServer", "Limits", "run", "serve"]
