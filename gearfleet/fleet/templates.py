"""The Jinja2 side of rendering: where templates are, and what they may write.

A user's template directory is searched before the built-in templates. A
template there replaces ours of the same name, or extends it and changes a block::

    {% extends "builtin/program.conf.j2" %}
    {% block extra %}
    serverurl=AUTO
    {% endblock %}

Whatever a template writes with ``{{ }}`` passes `quoting.plain`, unless it is
text that gearfleet prepared or a filter made (`arg`, `env`, `comment`): an
author cannot forget to quote. Jinja2's autoescape is used to tell the two
apart: `Markup` means "ready to be written", and nothing here is HTML.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from gearfleet.errors import TemplateError
from gearfleet.fleet import quoting

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable

_PACKAGE = "gearfleet.templates"
_CHECKOUT = Path(__file__).resolve().parents[2] / "templates"


#: The built-in templates, and what each makes.
BUILTIN: Mapping[str, str] = {
    "header.conf.j2": "the comment under the first line of each file",
    "program.conf.j2": "one [program:x]",
    "group.conf.j2": "one [group:x]",
    "quoting.conf.j2": "nothing by itself: macros for templates of yours",
}


def source_of(name: str) -> str:
    """Return the text of a built-in template."""
    return (template_root() / name).read_text(encoding="utf-8")


def blocks_of(name: str) -> tuple[str, ...]:
    """Return the blocks of a built-in template, in order."""
    return tuple(environment().get_template(f"builtin/{name}").blocks)


def extension_of(name: str) -> str:
    """Return a template that changes nothing yet: each block of the built-in one, as it is."""
    blocks = (
        f"{{% block {block} %}}\n{{{{ super() }}}}\n{{%- endblock %}}\n"
        for block in blocks_of(name)
    )
    return f'{{% extends "builtin/{name}" %}}\n' + "".join(blocks)


def template_root() -> Traversable:
    """Return the folder of the built-in templates."""
    return files(_PACKAGE) if find_spec(_PACKAGE) else _CHECKOUT


@cache
def environment(template_dir: Path | None = None) -> jinja2.Environment:
    """Return the environment that looks in `template_dir` before the built-in templates."""
    builtin = (
        jinja2.PackageLoader(_PACKAGE, "")
        if find_spec(_PACKAGE)
        else jinja2.FileSystemLoader(_CHECKOUT)
    )
    user = [jinja2.FileSystemLoader(template_dir)] if template_dir else []
    loaders = [*user, builtin, jinja2.PrefixLoader({"builtin": builtin})]
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        finalize=_written,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(arg=_ready(quoting.argument), env=_ready(quoting.variable), comment=comment)
    return made


def ready(text: str) -> Markup:
    """Return `text` as one that templates write as it is."""
    return Markup(text)


def _ready(quote: Any) -> Any:
    return lambda value: ready(quote(str(value)))


def comment(value: object) -> Markup:
    """Return `value` for a comment: on one line, whatever it holds."""
    text = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return ready(re.sub(r"[\x00-\x1f\x7f]", "?", text))


# It takes the context so that Jinja2 cannot fold constants and escape them as HTML.
@jinja2.pass_context
def _written(context: jinja2.runtime.Context, value: object) -> object:
    if isinstance(value, Markup) or value == "":
        return value
    return ready(quoting.plain(str(value)))


def render_template(made: jinja2.Environment, name: str, values: Mapping[str, Any]) -> str:
    """Return what the template `name` makes of `values`.

    Raises:
        TemplateError: with the template's file and line.
    """
    try:
        return made.get_template(name).render(values)
    except jinja2.TemplateSyntaxError as error:
        place = f"{error.filename or error.name}:{error.lineno}"
        raise TemplateError(f"Template {place}: {error.message}") from error
    except jinja2.TemplateNotFound as error:
        raise TemplateError(
            f"Template {error.name} does not exist (asked for by {name})"
        ) from error
    except Exception as error:
        raise TemplateError(f"Template {_place(error) or name}: {error}") from error


def _place(error: Exception) -> str:
    """Return file and line of the innermost template in the traceback of `error`."""
    places = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in walk_tb(error.__traceback__)
        if "__jinja_exception__" in frame.f_globals
    ]
    return places[-1] if places else ""
