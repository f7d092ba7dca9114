"""The section that a user pastes, written and read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gearfleet.supervisor.paste import servers_in

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("line", "servers"),
    [
        ("servers = a:1,b:2", ("a:1", "b:2")),
        ("servers = a:1 b:2", ("a:1", "b:2")),
        ("servers = a:1 ; the one in the cellar", ("a:1",)),
        ("servers =", ()),
        ("", ()),
    ],
)
def test_servers_in__reads_the_line_as_supervisor_does(
    tmp_path: Path, line: str, servers: tuple[str, ...]
) -> None:
    config = tmp_path / "supervisord.conf"
    config.write_text(f"[supervisord]\n[ctlplugin:gearfleet]\n{line}\n")
    assert servers_in(config) == servers


def test_servers_in__a_file_without_the_section_names_none(tmp_path: Path) -> None:
    config = tmp_path / "supervisord.conf"
    config.write_text("[supervisord]\n")
    assert servers_in(config) == ()
