"""``gearfleet submit TASK``: one job, from the command line."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from gearfleet.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output
    from gearfleet.cli.project import Project
    from gearfleet.tasks import SubmitOptions

VALUE = (
    "A value is JSON (7, true, [1, 2]); what is no JSON is a text. A task with codec 'raw' gets "
    "the text as it is, in bytes."
)


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``submit``."""
    parser = verbs.add("submit", submit, epilog=VALUE)
    parser.add_argument("task", metavar="TASK", help="name of the task, such as shop.resize")
    parser.add_argument(
        "--arg", action="append", default=[], metavar="V", help="an argument by position"
    )
    parser.add_argument(
        "--kwarg", action="append", default=[], metavar="K=V", help="an argument by name"
    )
    parser.add_argument("--data", metavar="JSON", help="the only argument, as JSON")
    parser.add_argument(
        "--background", action="store_true", help="do not wait; print the id of the job"
    )
    parser.add_argument("--wait", type=float, metavar="S", help="seconds to wait at most")
    parser.add_argument("--after", type=float, metavar="S", help="run it S seconds from now")
    parser.add_argument("--unique", metavar="U", help="run jobs of this name once")
    parser.add_argument("--priority", choices=("high", "normal", "low"), help="of the job")
    parser.add_argument(
        "--foreign", action="store_true", help="the task is one of another code base"
    )


def submit(args: argparse.Namespace, output: Output) -> int:
    """Submit the job; print its result, or the id of a background job."""
    from gearfleet.cli.project import load_project
    from gearfleet.client import Client

    options = _options(args, _declared(args, load_project(args)))
    positional, named = _arguments(args, is_raw=options.codec == "raw")
    with Client() as client:
        if args.background or args.after is not None:
            handle = client.enqueue(args.task, positional, named, options)
            if output.json:
                output.data(asdict(handle))
            else:
                output.line(handle.id)
            return 0
        result = client.run(args.task, positional, named, options)
    _print(result, output, is_raw=options.codec == "raw")
    return 0


def _declared(args: argparse.Namespace, project: Project) -> SubmitOptions:
    """Return what the task's declaration says of its jobs.

    A job of a misspelt task would wait for ever, so a task that the project does
    not have is refused.
    """
    from gearfleet.tasks import SubmitOptions, discover

    if args.foreign or not project.apps:
        return SubmitOptions()
    return discover(project.apps).find(args.task).chosen


def _options(args: argparse.Namespace, declared: SubmitOptions) -> SubmitOptions:
    given = {
        "timeout": args.wait,
        "after": args.after,
        "unique": args.unique,
        "priority": args.priority,
    }
    try:
        return replace(declared, **{name: item for name, item in given.items() if item is not None})
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error


def _arguments(args: argparse.Namespace, *, is_raw: bool) -> tuple[list[Any], dict[str, Any]]:
    named = dict(_pair(word) for word in args.kwarg)
    if args.data is not None and args.arg:
        raise UsageError("--data is the only argument by position; give --arg or --data")
    if is_raw:
        return [os.fsencode(word) for word in (*args.arg, args.data) if word is not None], named
    if args.data is None:
        return [value_of(word) for word in args.arg], named
    try:
        return [json.loads(args.data)], named
    except ValueError as error:
        raise UsageError(
            f"--data is no JSON ({error}): {args.data}; a text needs quotes"
        ) from error


def _pair(word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not (name and equals):
        raise UsageError(f"--kwarg takes NAME=VALUE, not '{word}'")
    return name, value_of(value)


def value_of(word: str) -> Any:
    """Return the value that a word of the command line means.

    Example:
        >>> value_of("7"), value_of("seven"), value_of('"7"')
        (7, 'seven', '7')
    """
    try:
        return json.loads(word)
    except ValueError:
        return word


def _print(result: Any, output: Output, *, is_raw: bool) -> None:
    from gearfleet.tasks.payload import encode_value

    text = encode_value(result).decode()
    if output.json:
        output.data({"result": json.loads(text)})
    elif isinstance(result, bytes) and is_raw:
        output.raw(result)
    else:
        output.line(result if isinstance(result, str) else text)
