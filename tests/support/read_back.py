"""What Supervisor's own parser reads from files, as plain data.

It imports nothing but supervisor, so that Debian's Python runs it as a script:
``/usr/bin/python3 read_back.py FILE...`` prints JSON; with ``--serve`` it answers
each line of standard input, a list of texts, with a line.
"""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

ATTRIBUTES = [
    "name",
    "command",
    "directory",
    "umask",
    "priority",
    "autostart",
    "autorestart",
    "startsecs",
    "startretries",
    "uid",
    "stdout_logfile",
    "stdout_logfile_maxbytes",
    "stdout_logfile_backups",
    "stderr_logfile",
    "stopsignal",
    "stopwaitsecs",
    "stopasgroup",
    "killasgroup",
    "exitcodes",
    "redirect_stderr",
    "environment",
    "serverurl",
]


def read_back(*texts: str) -> dict[str, list[dict[str, Any]]]:
    """Return the processes of each group, from fragments that a main file includes."""
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(texts):
            (Path(folder) / f"{number}.conf").write_text(text, encoding="utf-8")
        main = Path(folder) / "main.ini"
        main.write_text("[supervisord]\n[include]\nfiles=*.conf\n", encoding="utf-8")
        return _read(str(main), folder)


def _read(main: str, folder: str) -> dict[str, list[dict[str, Any]]]:
    from supervisor.options import ServerOptions

    options = ServerOptions()
    options.configfile, options.here = main, folder
    groups = options.read_config(main).process_group_configs
    return {group.name: [_process(config) for config in group.process_configs] for group in groups}


def _process(config: Any) -> dict[str, Any]:
    values = {name: _plain(getattr(config, name)) for name in ATTRIBUTES}
    values["command"] = shlex.split(config.command)
    return values


def _plain(value: Any) -> Any:
    return value.__name__ if isinstance(value, type) else value


def _serve() -> None:
    for line in sys.stdin:
        try:
            answer: Any = read_back(*json.loads(line))
        except Exception as error:  # what the caller makes of it, it says
            answer = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), flush=True)


if __name__ == "__main__" and sys.argv[1:] == ["--serve"]:
    _serve()
elif __name__ == "__main__":
    given = [Path(name).read_text(encoding="utf-8") for name in sys.argv[1:]]
    json.dump(read_back(*given), sys.stdout)
