"""Which hooks a worker has, in which order, and what one that misbehaves can do."""

from __future__ import annotations

import functools
import logging
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet import hooks, task
from gearfleet.config import HOOKS
from gearfleet.errors import ConfigError, JobInterrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

calls: list[str] = []


@pytest.fixture(autouse=True)
def no_hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin without the hooks that other tests of this process declared."""
    monkeypatch.setattr(hooks, "_declared", {kind: {} for kind in hooks.OFFERED})
    calls.clear()
    yield
    for name in [name for name in sys.modules if name.startswith("hooktest")]:
        del sys.modules[name]


def module(name: str, source: str) -> ModuleType:
    """Import a module called `name` that consists of `source`."""
    made = ModuleType(name)
    made.__dict__.update(hooks=hooks, task=task, calls=calls)
    sys.modules[name] = made
    exec(compile(source, f"/{name}.py", "exec"), made.__dict__)
    return made


def named(selected: tuple[hooks.Hook, ...]) -> list[str]:
    return [hook.name for hook in selected]


WORKER = """
@task
def work(): ...

@hooks.{kind}
def own(): calls.append("own")
"""
GLOBAL = """
@hooks.{kind}
def first(): calls.append("first")

@hooks.{kind}
def second(): calls.append("second")
"""


def test_kinds__are_those_of_the_settings() -> None:
    assert tuple(hooks.OFFERED) == HOOKS


def test_declaring__leaves_the_function_as_it_is() -> None:
    def bye() -> int:
        return 3

    assert hooks.on_shutdown(bye) is bye


def test_select__leaves_out_the_hooks_of_other_worker_modules() -> None:
    module("hooktest_a", WORKER.format(kind="on_start"))
    module("hooktest_b", WORKER.format(kind="on_start"))
    assert named(hooks.select("hooktest_a").on_start) == ["hooktest_a.own"]


def test_select__takes_the_hooks_within_a_worker_package() -> None:
    module("hooktest_a", WORKER.format(kind="on_start"))
    module("hooktest_a.more", GLOBAL.format(kind="on_start"))
    assert "hooktest_a.more.first" in named(hooks.select("hooktest_a").on_start)


def test_select__does_not_take_a_longer_name_for_a_package() -> None:
    module("hooktest_ab", WORKER.format(kind="on_start"))
    assert hooks.select("hooktest_a").on_start == ()


@pytest.mark.parametrize("kind", HOOKS)
def test_order__is_settings_global_module_and_the_reverse_at_the_end(kind: str) -> None:
    module("hooktest_a", WORKER.format(kind=kind))
    module("hooktest_g", GLOBAL.format(kind=kind))
    module("hooktest_s", "def named(): ...")
    selected = hooks.select("hooktest_a", {kind: ["hooktest_s.named"]})
    order = ["hooktest_s.named", "hooktest_g.first", "hooktest_g.second", "hooktest_a.own"]
    if kind in {"after_job", "on_failure", "on_drain", "on_shutdown"}:
        order.reverse()
    assert named(getattr(selected, kind)) == order


def test_select__runs_a_hook_once_that_is_declared_and_named() -> None:
    module("hooktest_g", GLOBAL.format(kind="on_start"))
    selected = hooks.select("hooktest_a", {"on_start": ["hooktest_g:second"]})
    assert named(selected.on_start) == ["hooktest_g.second", "hooktest_g.first"]


def test_declaring__again_replaces_the_hook_of_a_module_that_is_imported_anew() -> None:
    for _ in range(2):
        module("hooktest_g", GLOBAL.format(kind="on_start"))
    assert named(hooks.select("x").on_start) == ["hooktest_g.first", "hooktest_g.second"]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("hooktest_nowhere.f", "No module named 'hooktest_nowhere'"),
        ("os.no_such_function", "no attribute 'no_such_function'"),
        ("os:path", "plain function"),
        ("asyncio.sleep", "plain function"),
        ("shutil.copy", "cannot be a hook"),
        ("just_a_word", "package.module.function"),
        ("", "package.module.function"),
        ("os.", "package.module.function"),
        (":f", "package.module.function"),
    ],
)
def test_select__names_the_setting_and_the_path_that_is_wrong(path: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        hooks.select("x", {"on_start": [path]})
    assert f"'hooks.on_start': '{path}'" in str(caught.value)
    assert problem in str(caught.value)


def test_select__names_the_path_whose_module_raises(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hooktest_broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"hooktest_broken\.f.*ZeroDivisionError"):
        hooks.select("x", {"on_shutdown": ["hooktest_broken.f"]})


def nothing() -> None:
    calls.append("()")


def one(job: object) -> None:
    calls.append(f"({job})")


def both(job: object, outcome: object) -> None:
    calls.append(f"({job}, {outcome})")


def everything(*offered: object, **named: object) -> None:
    calls.append(f"{offered} {named}")


def optional(job: object, loud: bool = False) -> None:
    calls.append(f"({job}, loud={loud})")


@pytest.mark.parametrize(
    ("func", "call"),
    [
        (nothing, "()"),
        (one, "(1)"),
        (both, "(1, 2)"),
        (everything, "(1, 2) {}"),
        (optional, "(1, loud=False)"),
        (functools.partial(both, 0), "(0, 1)"),
    ],
)
def test_run__gives_a_hook_what_it_takes(func: Callable[..., object], call: str) -> None:
    hooks.after_job(func)
    hooks.run(hooks.select("x").after_job, 1, 2)
    assert calls == [call]


def test_declaring__refuses_what_takes_more_than_is_offered() -> None:
    with pytest.raises(
        TypeError, match=r"both\(job.* cannot be a hook: on_start offers \(worker\)"
    ):
        hooks.on_start(both)


def test_declaring__refuses_a_keyword_that_must_be_given() -> None:
    def picky(*, job: object) -> None: ...

    with pytest.raises(TypeError, match="by position"):
        hooks.before_job(picky)


def test_declaring__refuses_a_coroutine_function() -> None:
    async def later() -> None: ...

    with pytest.raises(TypeError, match="plain function"):
        hooks.on_start(later)


@pytest.mark.parametrize("error", ["ValueError('x')", "SystemExit(3)", "KeyboardInterrupt()"])
def test_run__logs_a_hook_that_raises_and_runs_the_others(
    error: str, caplog: pytest.LogCaptureFixture
) -> None:
    module(
        "hooktest_g",
        f"@hooks.on_start\ndef bad(): raise {error}\n" + GLOBAL.format(kind="on_start"),
    )
    hooks.run(hooks.select("x").on_start, None)
    assert calls == ["first", "second"]
    (record,) = caplog.records
    assert "Hook hooktest_g.bad raised" in record.message
    assert record.exc_info
    assert (record.levelno, vars(record)["action"]) == (logging.ERROR, "hook_failed")


def test_run__says_which_hooks_an_interruption_cut(caplog: pytest.LogCaptureFixture) -> None:
    module(
        "hooktest_g",
        "from gearfleet.errors import JobInterrupted\n"
        "@hooks.on_start\ndef slow(): raise JobInterrupted\n" + GLOBAL.format(kind="on_start"),
    )
    with pytest.raises(JobInterrupted):
        hooks.run(hooks.select("x").on_start, None)
    assert calls == []
    (record,) = caplog.records
    assert record.message == (
        "Hook hooktest_g.slow was cut short; not run: hooktest_g.first, hooktest_g.second"
    )


def test_run__blames_no_hook_for_an_interruption_after_the_last(
    caplog: pytest.LogCaptureFixture,
) -> None:
    module("hooktest_g", GLOBAL.format(kind="on_start"))

    class Interrupted(tuple[Any, ...]):
        __slots__ = ()

        def __iter__(self) -> Iterator[Any]:
            yield from super().__iter__()
            raise JobInterrupted

    with pytest.raises(JobInterrupted):
        hooks.run(Interrupted(hooks.select("x").on_start), None)
    assert calls == ["first", "second"]
    assert not caplog.records
