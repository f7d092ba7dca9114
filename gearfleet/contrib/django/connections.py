"""Connections between two jobs: what Django does around a request, for whom it may concern.

`django.db.close_old_connections` looks for a connection of each database, and takes as long
as a short task. So `close_old` calls it only in a thread that has one open.
"""

from __future__ import annotations

import threading

from django.db import close_old_connections, connections
from django.db.backends.signals import connection_created


class _Thread(threading.local):
    """What is known of the present thread."""

    #: Whether a connection of its may be open, for example one of before anybody looked.
    may_be_connected = True


_thread = _Thread()


def close_old() -> None:
    """Close the connections of this thread that are broken or too old; see CONN_MAX_AGE."""
    if _thread.may_be_connected:
        close_old_connections()
        known = connections.all(initialized_only=True)
        _thread.may_be_connected = any(each.connection is not None for each in known)


def _note(**_told: object) -> None:
    _thread.may_be_connected = True


connection_created.connect(_note)
