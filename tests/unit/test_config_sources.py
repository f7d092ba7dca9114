"""Where settings are found, and what stands above what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gearfleet import config
from gearfleet.config import Settings
from gearfleet.errors import ConfigError
from tests.support.users import unprivileged

if TYPE_CHECKING:
    from pathlib import Path


def test_load__without_a_file_uses_the_defaults(tmp_path: Path) -> None:
    settings = config.load(directory=tmp_path, environ={})
    assert settings.origin == "built-in defaults"
    assert settings.root == tmp_path


def test_load__reads_gearfleet_toml_before_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.gearfleet]\napps = ["b"]\n')
    assert config.load(directory=tmp_path, environ={}).apps == ("b",)
    (tmp_path / "gearfleet.toml").write_text('apps = ["a"]\n')
    assert config.load(directory=tmp_path, environ={}).apps == ("a",)


def test_load__passes_over_a_pyproject_of_others(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.other]\n")
    assert config.load(directory=tmp_path, environ={}).apps == ()


def test_load__an_empty_file_is_settings_too(tmp_path: Path) -> None:
    (tmp_path / "gearfleet.toml").write_text("")
    assert config.load(directory=tmp_path, environ={}).origin.endswith("gearfleet.toml")


def test_load__a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: No such file"):
        config.load(tmp_path / "nowhere.toml", environ={})


def test_load__a_named_file_is_rendered_for_the_workers(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text('servers = ["a"]\n')
    settings = config.load(environ={"GEARFLEET_CONFIG": str(path)})
    assert settings.servers == ("a",)
    assert settings.rendered_environment == {"GEARFLEET_CONFIG": str(path)}


def test_load__names_file_and_line_of_broken_toml(tmp_path: Path) -> None:
    (tmp_path / "gearfleet.toml").write_text("apps = [}\n")
    with pytest.raises(ConfigError, match=r"gearfleet\.toml: .*line"):
        config.load(directory=tmp_path, environ={})


def test_environment__stands_above_the_file(tmp_path: Path) -> None:
    (tmp_path / "gearfleet.toml").write_text('apps = ["a"]\nservers = ["file"]\n')
    settings = config.load(
        directory=tmp_path, environ={"GEARFLEET_APP": "x, y", "GEARFLEET_SERVERS": "h:1,h:2"}
    )
    assert settings.apps == ("x", "y")
    assert settings.servers == ("h:1", "h:2")
    assert settings.rendered_environment == {
        "GEARFLEET_APP": "x, y",
        "GEARFLEET_SERVERS": "h:1,h:2",
    }


def test_use__decides_what_current_returns() -> None:
    try:
        config.use(Settings(apps=("given",)))
        assert config.current().apps == ("given",)
        config.use(lambda: Settings(apps=("asked",)))
        assert config.current().apps == ("asked",)
    finally:
        config.use(None)


def test_load__a_file_outside_the_root_is_rendered_for_the_workers(tmp_path: Path) -> None:
    project = tmp_path / "conf"
    project.mkdir()
    (project / "gearfleet.toml").write_text('root = ".."\n')
    settings = config.load(directory=project, environ={})
    assert settings.root == tmp_path
    assert settings.rendered_environment == {"GEARFLEET_CONFIG": str(project / "gearfleet.toml")}


@pytest.mark.parametrize("servers", [",", "10.0.0.5:gearman"])
def test_environment__servers_that_are_none_name_the_variable(servers: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^GEARFLEET_SERVERS"):
        config.load(directory=tmp_path, environ={"GEARFLEET_SERVERS": servers})


def test_load__a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "gearfleet.toml").touch()
    tmp_path.chmod(0)
    with unprivileged(), pytest.raises(ConfigError, match=r"gearfleet\.toml: Permission denied"):
        config.load(directory=tmp_path, environ={})
