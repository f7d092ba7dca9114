"""`gearfleet scale` on a live fleet: at once, until the next apply, or for good."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.sites import Load, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer

#: Of the settings file: somebody else where we may give it away.
OWNER = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, gearmand: JobServer) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("scale")
    with Site(folder, gearmand.address, python=sys.executable) as made:
        yield made


@pytest.fixture
def site(shared: Site) -> Site:
    """A site with two workers that run, shared."""
    return shared.reset()


def test_scale__under_load_up_and_down_until_the_next_apply(site: Site) -> None:
    with Load(site) as load:
        load.wait_for_more()
        before = site.pids()
        done = site.scale("bar=4")
        assert done.returncode == 0, done.stderr
        assert "bar:worker_bar_02: will be started\n" in done.stdout
        assert "2 to add, 2 stay as they are" in done.stdout
        four = site.pids()
        assert len(four) == 4
        assert {name: four[name] for name in before} == before
        site.assert_nothing_to_update()

        assert site.scale("worker_bar=1").returncode == 0
        assert site.pids() == {"worker_bar_00": before["worker_bar_00"]}
        site.assert_nothing_to_update()
    assert [row["action"] for row in site.applied()["processes"]] == ["add"]
    assert len(site.pids()) == 2


def test_scale__is_saved_where_it_was_set(site: Site) -> None:
    settings = site.folder / "gearfleet.toml"
    settings.write_text(settings.read_text().replace("= 2", "= 2  # enough for now"))
    before = settings.read_text()
    site.module("broken", "bar", "x").write_text("import nothing_of_that_name\n")
    assert site.scale("bar=3").returncode == 0, "without --save no code is needed"
    assert settings.read_text() == before
    (site.folder / site.package / "gearman_workers/broken.py").unlink()

    settings.chmod(0o640)
    os.chown(settings, *OWNER)
    done = site.scale("bar=4", "--save")
    assert done.returncode == 0, done.stderr
    after = settings.stat()
    assert (after.st_uid, after.st_gid, after.st_mode & 0o777) == (*OWNER, 0o640)
    assert settings.read_text() == before.replace("= 2  #", "= 4  #")
    assert len(site.pids()) == 4
    told = site.applied()
    assert (told["processes"], told["kept"]) == ([], 4)
    assert told["files"]["changed"] == []


def test_scale__that_could_not_be_saved_changes_nothing(site: Site) -> None:
    before = site.pids()
    site.settings(2, f'[hosts."{socket.gethostname()}".queues.bar]\nprocesses = 2')
    text = (site.folder / "gearfleet.toml").read_text()
    refused = site.scale("bar=3", "--save")
    assert refused.returncode == 78
    assert "a stronger setting says so" in refused.stderr
    assert site.pids() == before
    assert (site.folder / "gearfleet.toml").read_text() == text


def test_scale__refuses_what_it_does_not_know(site: Site) -> None:
    refused = site.scale("baz=3")
    assert refused.returncode == 2
    assert "Unknown group 'baz' (known: bar). Did you mean 'bar'?" in refused.stderr
    refused = site.scale("bar")
    assert refused.returncode == 2
    assert "'bar' is no GROUP=N" in refused.stderr
