"""Rules over the text of configuration files, each against what Supervisor itself makes of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import supervisor.options

from gearfleet.fleet.checks.ini import read
from gearfleet.fleet.checks.known import KEYS
from gearfleet.fleet.checks.texts import Configuration, review_texts

MAIN = "[supervisord]\n[include]\nfiles=*.conf\n"


def codes(main: str, *included: str, environ: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Return code and place of each finding."""
    files = [read(main, "main")]
    files += [read(text, f"{number}.conf") for number, text in enumerate(included)]
    configuration = Configuration(
        files=tuple(files), has_main=True, environ=dict.fromkeys(environ, "x")
    )
    return [(found.code, found.place) for found in review_texts(configuration)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[program:a]\ncommand=x\nstopwaitsec=5\n", ("GF202", "0.conf:3")),
        ("[progam:a]\ncommand=x\n", ("GF203", "0.conf:1")),
        ("[program]\ncommand=x\n", ("GF203", "0.conf:1")),
        ('[program:a]\ncommand=sh -c "a ; b"\n', ("GF204", "0.conf:2")),
        ("[program:a]\ncommand=x --color #fff\n", ("GF204", "0.conf:2")),
        ("[program:a]\ncommand=x\npriority=1\npriority=2\n", ("GF205", "0.conf:4")),
        ("[program:a]\ncommand=x\n[program:a]\ncommand=y\n", ("GF206", "0.conf:3")),
        ("[program:a]\ncommand=x %(ENV_NOPE)s\n", ("GF211", "0.conf:2")),
        ("[program:a]\ncommand=x 5%\n", ("GF212", "0.conf:2")),
        ("[program:a]\ncommand=x %(nope)s\n", ("GF212", "0.conf:2")),
        ("[program:a]\ncommand=x %(here)\n", ("GF212", "0.conf:2")),
        ("[ctlplugin:gearfleet]\nsupervisor.ctl_factory=x:y\n", ("GF213", "0.conf:1")),
        ("[include]\nfiles=x\n", ("GF214", "0.conf:1")),
        ("[program:all]\ncommand=x\n", ("GF217", "0.conf:1")),
        ("[program:a*b]\ncommand=x\n", ("GF217", "0.conf:1")),
        ("[group:a]\nprograms=b\n[program:a]\n[program:b]\n", ("GF209", "0.conf:1")),
        ("[group:a]\nprograms=c,c\n[program:c]\n", ("GF216", "0.conf:2")),
        ("[ctlplugin:x]\nkey=%(here)s\n", ("GF212", "0.conf:2")),
        ("[rpcinterface:x]\nkey=5%\n", ("GF212", "0.conf:2")),
        ("[unix_http_server]\nfile=/" + 107 * "x" + "\n", ("GF221", "0.conf:2")),
        ("x=1\n", ("GF201", "0.conf:1")),
        ("[a]\nnonsense\n", ("GF201", "0.conf:2")),
    ],
)
def test_rule__finds(text: str, expected: tuple[str, str]) -> None:
    found = codes(MAIN.replace("[include]\nfiles=*.conf\n", ""), text)
    assert expected in found
    assert {code for code, _ in found} <= {expected[0], "GF203", "GF213"}


@pytest.mark.parametrize(
    "text",
    [
        "; comment\n[program:a]\ncommand=x ; a comment\nnumprocs=2 # another\n",
        "[program:a]\ncommand=a;b http://h/#frag 100%%\n",
        "[program:a]\ncommand=x %(ENV_HERE)s %(ENV_OWN)s %(here)s %(process_num)02d\n"
        "environment=OWN='1'\n",
        "[eventlistener:a]\ncommand=x\nevents=TICK_5\nbuffer_size=5\n",
        "[fcgi-program:a]\ncommand=x\nsocket=tcp://localhost:9\n",
        "[rpcinterface:x]\nany.key=1\n",
        "[group:a]\nprograms=a\n[program:a]\ncommand=x\n",
        "[program:a]\nCOMMAND=x\nstdout_syslog=true\n",
        "[program:celery@web.1]\ncommand=x\n",
        "[unix_http_server:second]\nfile=/run/x.sock\n[inet_http_server]\nport=9001\n",
    ],
)
def test_rule__passes(text: str) -> None:
    assert codes("[supervisord]\nminfds=5\n[supervisorctl]\n", text, environ=("HERE",)) == []


def test_plugin__belongs_into_the_main_file() -> None:
    assert codes("[supervisord]\n[ctlplugin:gearfleet]\nservers=x\n") == []


def test_variable__of_supervisord_itself() -> None:
    main = "[supervisord]\nenvironment=A='1'\n"
    assert codes(main, "[program:a]\ncommand=x %(ENV_A)s\n") == []


def test_section__twice_names_both_places() -> None:
    files = [read("[program:a]\n", "one"), read("\n[program:a]\n", "two")]
    (found,) = review_texts(Configuration(files=tuple(files)))
    assert found.message.startswith("[program:a] also stands in one:1;")
    assert found.place == "two:2"


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("[program:a]\nstopwaitsec=5\n", "Write it as 'stopwaitsecs'"),
        ("[progam:a]\n", "Write it as 'program'"),
        ("[program:a]\nxyzzy=5\n", "Correct its spelling, or remove it"),
    ],
)
def test_unknown__is_named_with_the_nearest(text: str, fix: str) -> None:
    (found,) = review_texts(Configuration(files=(read(text, "x"),)))
    assert found.fix == fix


#: Where Debian has its supervisor, which is another version.
DEBIAN = Path("/usr/lib/python3/dist-packages/supervisor/options.py")


@pytest.mark.parametrize(
    "source", [Path(supervisor.options.__file__), DEBIAN], ids=["own", "debian"]
)
def test_keys__are_those_that_supervisor_reads(source: Path) -> None:
    if not source.exists():
        pytest.skip("needs Debian's supervisor: apt-get install supervisor")
    text = source.read_text()
    read = set(re.findall(r"get\w*\((?:section, ?)?'(\w+)'", text)) - {
        "include",
        "expansions",
        "PATH",
    }
    made = {f"{stream}_{what}" for stream in ("stdout", "stderr") for what in LOGS}
    assert frozenset().union(*KEYS.values()) == read | made | {"files"}


#: Keys whose names Supervisor puts together.
LOGS = (
    "logfile",
    "logfile_backups",
    "logfile_maxbytes",
    "syslog",
    "events_enabled",
    "capture_maxbytes",
)
