"""The order of the tests names tests that exist."""

from __future__ import annotations

import pytest

from tests.support.processes import ROOT
from tests.support.scheduling import LONG, TOGETHER


@pytest.mark.parametrize("beginning", [*TOGETHER, *LONG])
def test_beginning__is_that_of_a_test(beginning: str) -> None:
    names = [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("test_*.py")]
    assert any(name.startswith(beginning) for name in names)
