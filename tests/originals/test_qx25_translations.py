"""QX25: the texts of the Django app in the languages of Django Q."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.originals.projects import make_project
from tests.originals.test_q_admin import BEGINNING, TASKS
from tests.support import messages
from tests.support.admin_site import SETTINGS, tell_story
from tests.support.django_databases import set_up

if TYPE_CHECKING:
    from pathlib import Path

    from babel.messages.catalog import Catalog

MIDDLEWARE = """
MIDDLEWARE.insert(1, "django.middleware.locale.LocaleMiddleware")
"""

SCRIPT = """\
def shown(address, language="de"):
    answer = boss.get(address, headers={"accept-language": language})
    assert answer.status_code == 200, answer
    return answer.content.decode()

index = shown(reverse("admin:index"))
for text in ("Erfolgreiche Aufträge", "Zeitpläne", "Flotte: Warteschlangen und Worker"):
    assert text in index, text
listed = shown(page("failure"))
for text in ("Ausgewählte Aufträge noch einmal ausführen", "Warteschlange", "Grund", "Fehlschlag"):
    assert text in listed, text
made = shown(page("schedule", "add"))
for text in ("Wiederholungen", "stündlich", "der Task, zum Beispiel shop.report", "Zeitzone"):
    assert text in made, text
fleet = shown(page("fleet"))
for text in ("Jobserver", "erledigte Aufträge", "Noch einmal nachsehen", "Stand von"):
    assert text in fleet, text
assert "Успешные задания" in shown(reverse("admin:index"), "ru")
assert "成功的作业" in shown(reverse("admin:index"), "zh-hans")
assert "Successful jobs" in shown(reverse("admin:index"), "en")
"""


@pytest.fixture(scope="module", autouse=True)
def _django() -> None:
    set_up()


@pytest.fixture(scope="module")
def texts() -> Catalog:
    return messages.template()


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_qx25__every_text_has_a_translation(language: str, texts: Catalog) -> None:
    assert messages.missing(language, texts) == [], "run make messages, and translate"


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_qx25__the_catalogue_is_that_of_the_source(language: str, texts: Catalog) -> None:
    known = messages.catalogue(language)
    in_source = {each.id for each in texts if each.id}
    assert {each.id for each in known if each.id} == in_source, "run make messages"
    compiled = messages.po_file(language).with_suffix(".mo").read_bytes()
    assert messages.read_compiled(compiled) == messages.read_compiled(messages.compiled(language))


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_qx25__places_for_values_are_those_of_the_text(language: str) -> None:
    known = messages.catalogue(language)
    assert [error for each in known for error in each.check(known)] == []


def test_qx25__texts_are_found_in_code_and_in_templates(texts: Catalog) -> None:
    found = {str(each.id) for each in texts}
    assert {"Run selected jobs again", "As it was at %(moment)s.", "Home", "enqueued"} <= found
    assert len(found) > 100


def test_qx25__the_admin_speaks_german(tmp_path: Path) -> None:
    project = make_project(tmp_path, "127.0.0.1:1", {})
    tell_story(project, TASKS, BEGINNING + SCRIPT, SETTINGS + MIDDLEWARE)
