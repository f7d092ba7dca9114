"""The extension that runs inside supervisord and changes a live fleet without disturbing it.

    [rpcinterface:gearfleet]
    supervisor.rpcinterface_factory = gearfleet.supervisor.reconcile:make_rpcinterface

    interface    the methods that a client calls
    engine       what is under way, stepped by supervisord's own loop
    job          one group on its way to what the configuration says
    numbers      another number of processes in supervisord's own files
    taken        what is remembered of a process that is replaced
    difference   what tells a running group from a configured one
    internals    all that is assumed about Supervisor's own objects

It needs the standard library and supervisor only, imports no code of users, and
blocks for no longer than Supervisor's own `reread`. Once begun, a change goes on
without the client that asked for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gearfleet.supervisor.reconcile.interface import Interface

#: Of the methods and what they return; raised with every change of them.
API = 2


def make_rpcinterface(supervisord: Any, **_config: str) -> Interface:
    """Return the extension for supervisord; other keys of its section are accepted."""
    from gearfleet.supervisor.reconcile.engine import Engine
    from gearfleet.supervisor.reconcile.interface import Interface

    return Interface(Engine.of(supervisord))
