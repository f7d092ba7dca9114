"""Fixtures of the stories."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.job_servers import JobServer


@pytest.fixture
def job_server(request: pytest.FixtureRequest) -> JobServer:
    """Gearmand, which the stories are lived with, or the server that a test's parameter names.

    What a worker does by itself is the same for both job servers; that both do the same for a
    worker is held by the conformance tests. Where a story hangs on the job server, its module
    asks for both::

        pytestmark = pytest.mark.parametrize("job_server", ["gearmand", "embedded"], indirect=True)
    """
    server: JobServer = request.getfixturevalue(getattr(request, "param", "gearmand"))
    return server
