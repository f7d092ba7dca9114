"""Names of tasks and functions."""

from __future__ import annotations

import os
import zlib
from typing import Any

import pytest

from gearfleet.errors import ConfigError
from gearfleet.tasks import naming
from gearfleet.tasks.naming import (
    MAX_NAME_BYTES,
    default_task_name,
    function_name,
    later_function,
    name_problem,
)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("shop.gearman_workers.worker_foo", "shop.worker_foo.f"),
        ("proj.inner.gearman_workers.worker_foo", "proj.inner.worker_foo.f"),
        ("shop.gearman_jobs", "shop.f"),
        ("shop.tasks", "shop.f"),
        ("shop.tasks.images", "shop.images.f"),
        ("shop.tasks_extra", "shop.tasks_extra.f"),
        ("shop.gearman_workers.tasks", "shop.f"),
        ("tasks", "tasks.f"),
        ("__main__", "__main__.f"),
    ],
)
def test_default_task_name(module: str, name: str) -> None:
    assert default_task_name(module, "f") == name


@pytest.mark.parametrize(
    ("prefix", "function"),
    [
        ("", "shop.f"),
        ("staging.", "staging.shop.f"),
        (lambda name: f"{name}@NAMESPACE", "shop.f@NAMESPACE"),
    ],
)
def test_function_name(prefix: Any, function: str) -> None:
    assert function_name("shop.f", prefix) == function


def test_function_name__cwd_is_computed_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    naming._directory_prefix.cache_clear()
    monkeypatch.chdir(tmp_path)
    expected = f"{zlib.adler32(os.fsencode(tmp_path))}.shop.f"
    assert function_name("shop.f", "cwd") == expected
    monkeypatch.chdir("/")
    assert function_name("shop.f", "cwd") == expected
    naming._directory_prefix.cache_clear()


@pytest.mark.parametrize(
    ("prefix", "problem"),
    [
        ("my project.", "no white space"),
        ("x" * 250, "1 to 255 bytes"),
        (lambda name: "", "1 to 255 bytes"),
        (lambda name: None, "a name is a text"),
        (lambda name: b"x", "a name is a text"),
    ],
)
def test_function_name__result_is_checked(prefix: Any, problem: str) -> None:
    with pytest.raises(
        ConfigError, match=f"'prefix' makes .* of task 'shop.f': a name.*{problem[-9:]}"
    ):
        function_name("shop.f", prefix)


def test_later_function__any_function_has_one() -> None:
    assert later_function("x" * 249) == "x" * 249 + "+later"
    long = ["x" * 250, "x" * 254 + "y", "\u00fc" * 127, "\u20ac" * 85]
    later = [later_function(function) for function in long]
    assert len(set(later)) == len(long)
    for name in later:
        assert name_problem(name) is None
        assert name.endswith("+later")
    assert len(later[0].encode()) == MAX_NAME_BYTES
