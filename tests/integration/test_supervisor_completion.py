"""The tab key in supervisorctl, with the real Controller and a real supervisord."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.crews import PLUGIN, Crew

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def completions(config: Path, line: str, text: str) -> list[str]:
    """Return what supervisorctl offers when the tab key is pressed after `line`."""
    from supervisor.options import ClientOptions
    from supervisor.supervisorctl import Controller

    options = ClientOptions()
    options.realize(["-c", str(config), "status"], doc="")
    controller = Controller(options)
    complete: Callable[..., str | None] = controller.complete
    offered: list[str] = []
    while (word := complete(text, len(offered), line=line)) is not None:
        offered.append(word)
    return offered


def test_completion__of_verbs_groups_and_options() -> None:
    with Crew({"bar": {"w": 1}, "foo": {"x": 1}}) as crew:
        config = crew.daemon.config
        verbs_offered = [
            *("restart ", "status ", "stop ", "start ", "tail ", "quiet ", "resume ", "help ")
        ]
        assert completions(config, "gearfleet ", "") == verbs_offered
        assert completions(config, "gearfleet sta", "sta") == ["status ", "start "]
        assert completions(config, "gearfleet help r", "r") == ["restart ", "resume "]
        assert completions(config, "gearfleet restart b", "b") == ["bar ", "bar:w_00 "]
        assert completions(config, "gearfleet restart bar --m", "--m") == ["--max-unavailable "]
        assert completions(config, "gearfleet status f", "f") == ["foo ", "foo:x_00 "]
        assert completions(config, "gearfleet nonsense ", "") == []


def test_completion__of_other_commands_is_as_before(tmp_path: Path) -> None:
    config = without_daemon(tmp_path)
    assert "gearfleet " in completions(config, "g", "g")
    assert completions(config, "res", "res") == ["restart "]


def test_completion__without_a_daemon_offers_the_options(tmp_path: Path) -> None:
    config = without_daemon(tmp_path)
    offered = completions(config, "gearfleet restart ", "")
    wanted = ["--max-unavailable", "--pause", "--timeout", "--only-changed", "--release", "--json"]
    assert offered == [f"{option} " for option in wanted]


def without_daemon(folder: Path) -> Path:
    config = folder / "supervisord.conf"
    config.write_text(
        f"[supervisorctl]\nserverurl=unix://{folder}/none.sock\n{PLUGIN.format(servers='')}"
    )
    return config
