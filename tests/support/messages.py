"""The catalogues of translations: from the source to .po, and from .po to .mo.

    make messages      finds all texts, puts new ones into the .po files, and compiles those

A text that is new has no translation yet; write it into the .po file and run it again.
tests/originals/test_qx25_translations.py fails while one is missing.
"""

from __future__ import annotations

import sys
from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir, extract_python
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from typing import Any

APP = Path(__file__).parents[2] / "gearfleet/contrib/django"
LANGUAGES = ("de", "fr", "ru", "tr", "zh_Hans")

KEYWORDS = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
}


def extract_template(
    file: BinaryIO, keywords: Mapping[str, Any], comments: Collection[str], options: dict[str, Any]
) -> Iterator[Any]:
    """Find the texts of a template, as Django's own ``makemessages`` does."""
    from django.conf import settings
    from django.utils.translation.template import templatize

    if not settings.configured:
        settings.configure()
    source = templatize(file.read().decode())
    # All but calls of gettext is filled up with letters; those are one to a line.
    calls = "\n".join(line.strip() for line in source.replace(") ", ")\n").splitlines())
    return extract_python(BytesIO(calls.encode()), keywords, comments, options)


METHODS = [("**.py", "python"), ("templates/**.html", extract_template)]


def template() -> Catalog:
    """Return a catalogue of all texts of the app, without translations."""
    found = Catalog(project="gearfleet", fuzzy=False, charset="utf-8")
    for _file, _line, message, comments, context in extract_from_dir(
        APP, METHODS, keywords=KEYWORDS, comment_tags=("Translators:",)
    ):
        found.add(message, auto_comments=comments, context=context)
    return found


def po_file(language: str) -> Path:
    """Return where the catalogue of a language is."""
    return APP / "locale" / language / "LC_MESSAGES/django.po"


def catalogue(language: str) -> Catalog:
    """Return the translations into a language; an empty one if there is no file."""
    path = po_file(language)
    if not path.exists():
        return Catalog(
            locale=language,
            header_comment=f"# Translations of gearfleet into {language}.",
            project="gearfleet",
            version="1",
            msgid_bugs_address="none",
            last_translator="The gearfleet developers",
            language_team="none",
            fuzzy=False,
        )
    with path.open("rb") as file:
        return read_po(file, locale=language)


def compiled(language: str) -> bytes:
    """Return the translations as Django reads them."""
    data = BytesIO()
    write_mo(data, catalogue(language))
    return data.getvalue()


def read_compiled(data: bytes) -> dict[Any, str]:
    """Return the texts of a compiled catalogue; without the header, which names a version of Babel."""
    found: dict[Any, str] = dict(vars(GNUTranslations(BytesIO(data)))["_catalog"])
    found.pop("", None)
    return found


def update(language: str, texts: Catalog) -> None:
    """Put new texts into a catalogue, take away those that are gone, and compile it."""
    path = po_file(language)
    known, ids = catalogue(language), {each.id for each in texts if each.id}
    if not path.exists() or ids != {each.id for each in known if each.id}:
        known.update(texts, no_fuzzy_matching=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(
                file, known, width=100, no_location=True, sort_output=True, ignore_obsolete=True
            )
    mo, data = path.with_suffix(".mo"), compiled(language)
    if not mo.exists() or read_compiled(mo.read_bytes()) != read_compiled(data):
        mo.write_bytes(data)


def missing(language: str, texts: Catalog) -> list[str]:
    """Return the texts that have no translation into a language."""
    known = catalogue(language)
    found = ((each, known.get(each.id, each.context)) for each in texts if each.id)
    return [str(each.id) for each, one in found if one is None or one.fuzzy or not _is_whole(one)]


def _is_whole(message: Any) -> bool:
    parts = message.string if isinstance(message.string, tuple | list) else (message.string,)
    return bool(parts) and all(parts)


def main() -> int:
    """Bring all catalogues up to date; return 1 while translations are missing."""
    texts, code = template(), 0
    for language in LANGUAGES:
        update(language, texts)
        for text in missing(language, texts):
            print(f"{language}: no translation of {text!r}", file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
