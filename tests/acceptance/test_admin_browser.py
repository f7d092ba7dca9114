"""The admin in a real browser: an operator looks, mends, runs again, schedules.

Pictures of the pages are kept in ``.cache/screenshots``.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.admin_site import NAME, PASSWORD, AdminSite
from tests.support.processes import ROOT
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.support.job_servers import JobServer

PICTURES = ROOT / ".cache" / "screenshots"

pytestmark = pytest.mark.skipif(
    shutil.which("chromium") is None, reason="needs a browser: apt-get install chromium"
)

RECORDS = """\
from gearfleet import fetch
from myapp.gearman_workers.worker_foo import develop, price
fetch(price.options(name="a dozen", group="may").delay(12), wait=30)
fetch(develop.options(name="a photo").delay("beach"), wait=30)
"""


@pytest.fixture
def site(tmp_path: Path, gearmand: JobServer) -> AdminSite:
    return AdminSite(tmp_path, gearmand.address)


@pytest.fixture
def page() -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(30_000)
        yield page
        browser.close()


def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"admin-{name}.png", full_page=True)


def act(page: Page, action: str) -> str:
    """Select the first row, do something with it, and return what the page says of it."""
    page.locator("input.action-select").first.check()
    page.locator("select[name=action]").select_option(label=action)
    page.get_by_role("button", name="Go").click()
    return page.locator(".messagelist").inner_text()


def test_operator__looks_mends_and_runs_again(site: AdminSite, page: Page) -> None:
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    with site.working(), site.serving() as address:
        site.python(RECORDS)
        page.goto(address)
        page.fill("#id_username", NAME)
        page.fill("#id_password", PASSWORD)
        page.get_by_role("button", name="Log in").click()
        assert "Fleet: queues and workers" in page.locator("#content-main").inner_text()
        picture(page, "index")

        page.get_by_role("link", name="Fleet: queues and workers").first.click()
        page.wait_for_selector("#processes")
        assert "up" in page.locator("#servers tbody").inner_text()
        assert "worker_foo" in page.locator("#processes tbody").inner_text()
        assert "photos" in page.locator("#queues tbody").inner_text()
        picture(page, "fleet")

        page.goto(f"{address}gearfleet/failure/")
        assert (
            "LookupError: no such photo: <b>beach</b>" in page.locator("#result_list").inner_text()
        )
        picture(page, "failures")
        page.locator("#result_list tbody th a").first.click()
        assert "Traceback (most recent call last)" in page.locator("#failure_form").inner_text()
        assert page.locator("input[name=_save]").count() == 0, "what happened is not edited"
        picture(page, "failure")
        (site.folder / "mended").touch()
        page.goto(f"{address}gearfleet/failure/")
        assert act(page, "Run selected jobs again") == "1 job runs again."
        assert page.locator("#result_list").count() == 0

        def succeeded() -> bool:
            page.goto(f"{address}gearfleet/success/")
            return "developed beach" in page.locator("#changelist").inner_text()

        wait_for(succeeded, "the job that runs again", interval=0.2)
        picture(page, "successes")

        page.goto(f"{address}gearfleet/schedule/add/")
        page.fill("#id_name", "nightly prices")
        page.fill("#id_func", "myapp.worker_foo.price")
        page.fill("#id_args", "3")
        page.select_option("#id_schedule_type", label="daily")
        picture(page, "schedule")
        page.locator("input[name=_save]").click()
        assert "nightly prices" in page.locator("#result_list").inner_text()
        assert act(page, "Run selected schedules now") == "1 job was submitted."
        assert act(page, "Pause selected schedules") == "1 schedule waits."
        assert "paused" in page.locator("#result_list").inner_text()
        picture(page, "schedules")
    assert not failures, "no script of the pages fails"
