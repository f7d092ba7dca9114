"""``gearfleet templates``: those that there are, what stands in them, and copies to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.errors import UnknownName, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output

ACTIONS = """\
actions:
  list                 each template, its blocks, and the file that is used (default)
  show NAME            the text of a built-in template
  copy [NAME ...]      write built-in templates to the template directory, to be changed
"""
COLUMNS = ("template", "makes", "blocks", "used")


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``templates``."""
    import argparse

    from gearfleet.cli.render import add_template_dir

    parser = verbs.add(
        "templates",
        templates,
        epilog=ACTIONS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s [ACTION] [NAME ...] [options]",
    )
    # With nargs="?" and "*", argparse takes both for given as soon as it sees an option.
    for positional in (
        parser.add_argument("action", default="list", metavar="ACTION", help="see below"),
        parser.add_argument("names", nargs="+", metavar="NAME", help="of a template"),
    ):
        positional.required = False
    parser.add_argument(
        "--extend",
        action="store_true",
        help="copy: write templates that extend the built-in ones, with their blocks",
    )
    parser.add_argument("--force", action="store_true", help="copy: write over files")
    add_template_dir(parser)


def templates(args: argparse.Namespace, output: Output) -> int:
    """Do what `args.action` says."""
    if args.action not in _ACTIONS:
        raise UnknownName.of("action", args.action, _ACTIONS)
    names = [_known(name) for name in args.names or ()]
    return _ACTIONS[args.action](args, output, names)


def list_templates(args: argparse.Namespace, output: Output, names: list[str]) -> int:
    """List the templates, and which file is used for each."""
    from gearfleet.fleet.templates import BUILTIN, blocks_of

    folder = _template_dir(args)
    rows = [
        {
            "template": name,
            "makes": makes,
            "blocks": list(blocks_of(name)),
            "used": str(folder / name) if folder and (folder / name).is_file() else "built-in",
        }
        for name, makes in BUILTIN.items()
        if not names or name in names
    ]
    if output.json:
        output.data(rows)
    else:
        shown = [{**row, "blocks": ", ".join(row["blocks"]) or "-"} for row in rows]
        output.table("", COLUMNS, [[str(row[each]) for each in COLUMNS] for row in shown])
    return 0


def show(_args: argparse.Namespace, output: Output, names: list[str]) -> int:
    """Print built-in templates."""
    from gearfleet.fleet.templates import source_of

    if not names:
        raise UsageError("'show' takes the name of a template; see: gearfleet templates")
    texts = {name: source_of(name) for name in names}
    if output.json:
        output.data(texts)
    else:
        output.document("\n".join(texts.values()))
    return 0


def copy(args: argparse.Namespace, output: Output, names: list[str]) -> int:
    """Write copies of built-in templates, or templates that extend them."""
    from gearfleet.fleet.templates import BUILTIN, blocks_of, extension_of, source_of

    folder = _template_dir(args)
    if folder is None:
        raise UsageError(
            "Where to? Name the directory with --template-dir, GEARFLEET_TEMPLATE_DIR or the "
            "setting 'template_dir'"
        )
    text_of: Callable[[str], str] = extension_of if args.extend else source_of
    chosen = names or [name for name in BUILTIN if blocks_of(name) or not args.extend]
    paths = {folder / name: text_of(name) for name in chosen}
    if not args.force:
        for path in paths:
            if path.exists():
                raise UsageError(f"{path} exists, and is left as it is; --force writes over it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in paths.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"Cannot write to {folder}: {error.strerror}") from error
    if output.json:
        output.data([str(path) for path in paths])
    else:
        output.text("".join(f"Wrote {path}\n" for path in paths))
    return 0


_ACTIONS: dict[str, Callable[[argparse.Namespace, Output, list[str]], int]] = {
    "list": list_templates,
    "show": show,
    "copy": copy,
}


def _known(name: str) -> str:
    from gearfleet.fleet.templates import BUILTIN

    full = name if name in BUILTIN else f"{name}.conf.j2"
    if full not in BUILTIN:
        raise UnknownName.of("template", full, BUILTIN)
    return full


def _template_dir(args: argparse.Namespace) -> Path | None:
    from gearfleet.cli.project import load_project

    chosen: Path | None = args.template_dir
    return chosen or load_project(args).settings.template_dir
