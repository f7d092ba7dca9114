"""The example projects, run as their pages say: rendered, supervised, used, stopped."""

from __future__ import annotations

import json
import shutil
import struct
import sys
import zlib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from examples.shop.shop_project import settings as shop_settings
from gearfleet import Client
from gearfleet.config import Settings
from tests.support.processes import GEARFLEET, ROOT, clean_environment, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer
    from tests.support.supervisord import Supervisord

PLAIN = ROOT / "examples" / "plain"
ORDERS = 12


def gearfleet(*words: str | Path, cwd: Path, **environment: str) -> str:
    """Run the command and return what it printed."""
    done = run([*GEARFLEET, *words], cwd=cwd, env=clean_environment(**environment))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def client(embedded: JobServer) -> Iterator[Client]:
    settings = Settings(
        servers=(embedded.address,), signing_keys=(shop_settings.SECRET_KEY,), client_timeout=30
    )
    client = Client(settings)
    yield client
    client.close()


def groups_of(text: str) -> dict[str, str]:
    """Return the programs of each group of a rendered file."""
    lines = text.splitlines()
    return {
        line[len("[group:") : -1]: after.removeprefix("programs=")
        for line, after in pairwise(lines)
        if line.startswith("[group:")
    }


# The plain project ----------------------------------------------------------------------------


def test_plain__its_rendered_fleet_works(
    embedded: JobServer, supervisord: Supervisord, client: Client, tmp_path: Path
) -> None:
    environment = {
        "GEARFLEET_SERVERS": embedded.address,
        "GEARFLEET_RUN_DIR": str(supervisord.folder / "run"),
    }
    gearfleet("render", "-o", supervisord.conf_d, cwd=PLAIN, **environment)
    supervisord.start()
    supervisord.wait_until_running()

    counted = client.submit("examples.plain.worker_foo.count_words", "so so la", top=2)
    assert counted == [("so", 2), ("la", 1)]

    document = tmp_path / "document.txt"
    document.write_text("la " * 1000)
    packed = client.submit("examples.plain.worker_bar.pack", str(document))
    assert zlib.decompress(Path(packed).read_bytes(), wbits=31) == document.read_bytes()


def test_plain__settings_reach_the_programs() -> None:
    text = gearfleet("render", cwd=PLAIN)
    assert groups_of(text) == {"bar": "worker_bar", "foo": "worker_foo"}
    bar = text[text.index("[program:worker_bar]") : text.index("[program:worker_foo]")]
    foo = text[text.index("[program:worker_foo]") :]
    assert "numprocs=3" in bar
    assert "--drain-timeout 120" in bar
    assert "PACKED_SUFFIX" in bar
    assert "numprocs=2" in foo
    assert "--drain-timeout" not in foo
    assert "PACKED_SUFFIX" not in foo


def test_plain__needs_no_django() -> None:
    code = (
        "import sys; sys.modules['django'] = None; sys.path.insert(0, '.'); "
        "from gearfleet.cli import main; sys.exit(main(['tasks', '--app', 'examples.plain', '--json']))"
    )
    done = run([sys.executable, "-c", code], cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert {row["queue"] for row in json.loads(done.stdout)} == {"foo", "bar"}


# The shop -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shop:
    """A copy of the shop with orders in it."""

    folder: Path
    data: Path
    server: str

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment(
            SHOP_DATA=str(self.data),
            GEARFLEET_SERVERS=self.server,
            GEARFLEET_RUN_DIR=str(self.data / "run"),
            DJANGO_SETTINGS_MODULE="shop_project.settings",
        )

    def run(self, *command: str | Path) -> str:
        done = run(command, cwd=self.folder, env=self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def manage(self, *words: str | Path) -> str:
        return self.run(sys.executable, "manage.py", *words)

    def ledger(self) -> list[str]:
        return (self.data / "ledger.txt").read_text().splitlines()


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a shop that is opened, and that no test changes."""
    place = tmp_path_factory.mktemp("opened")
    ignored = shutil.ignore_patterns("data", "__pycache__")
    shutil.copytree(ROOT / "examples" / "shop", place / "shop", ignore=ignored)
    shop = Shop(place / "shop", place / "data", "127.0.0.1:1")
    shop.manage("open_shop", "--orders", str(ORDERS))
    return place


@pytest.fixture
def shop(opened: Path, tmp_path: Path, embedded: JobServer) -> Shop:
    shutil.copytree(opened, tmp_path, dirs_exist_ok=True)
    return Shop(tmp_path / "shop", tmp_path / "data", embedded.address)


def size_of_png(data: bytes) -> tuple[int, int]:
    """Return width and height; check the signature and every chunk's checksum."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place = 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        content = data[place + 4 : place + 8 + length]
        assert data[place + 8 + length : place + 12 + length] == struct.pack(
            ">I", zlib.crc32(content)
        )
        place += 12 + length
    return struct.unpack(">II", data[16:24])


def test_shop__its_rendered_fleet_works(
    shop: Shop, supervisord: Supervisord, client: Client, embedded: JobServer
) -> None:
    shop.run(*GEARFLEET, "render", "-o", supervisord.conf_d)
    assert groups_of((supervisord.conf_d / "groups.conf").read_text()) == {
        "bar": "worker_bar,worker_bar2",
        "foo": "shop_tasks,worker_foo",
        "scheduler": "scheduler",
    }
    supervisord.start()
    supervisord.wait_until_running()
    # One that is still starting when it is told to stop has nothing to sign off.
    embedded.wait_for_workers("shop.worker_bar.thumbnail", 3)

    assert client.submit("shop.worker_bar.thumbnail", 7) == "7.png"
    assert size_of_png((shop.data / "photos" / "7.png").read_bytes()) == (160, 120)
    assert size_of_png((shop.data / "thumbnails" / "7.png").read_bytes()) == (32, 24)

    assert client.submit("shop.worker_foo.invoice", 7) == "7.html"
    assert "<b>0.65</b>" in (shop.data / "invoices" / "7.html").read_text()

    assert client.submit("post.worker_bar2.confirm", 7) == "katherine7@customers.example"
    (letter,) = (shop.data / "mail").iterdir()
    assert "Subject: Your order 7" in letter.read_text()

    turnover = client.submit("shop.worker_foo.sales_report", date(2026, 3, 2))
    rows = (shop.data / "reports" / "2026-03-02.csv").read_text().splitlines()[1:]
    assert turnover == sum((Decimal(row.rpartition(",")[2]) for row in rows), Decimal(0))
    assert len(rows) == 3  # orders 10, 11 and 12

    for command in ("gearman_client_example", "gearman_example_client"):  # J24
        result, background = shop.manage(command, "--order", "8").splitlines()
        assert result == "Result: '8.png'"
        assert background.startswith("In the background: H:")

    books = json.loads(shop.manage("show_books", "--json", "--wait-for", "2"))
    assert books["recorded"] == 2  # the invoices in the background
    assert (books["schedule"], books["turnover"]) == ("overdue report", str(turnover))
    assert (books["status"], books["account"]) == ("SUCCESSFUL", {"orders": 2, "total": "4.90"})

    assert supervisord.ctl("stop", "bar:*").returncode == 0
    ledger = shop.ledger()
    assert ledger.count("sales_report 2026-03-02") == 2  # ours, and that of the schedule
    done = [line for line in ledger if not line.startswith("sales_report")]
    assert done[:3] == ["thumbnail 7", "invoice 7", "confirm 7"]
    assert ledger.count("account Ada") == 1
    assert ledger.count("thumbnail 8") == 2
    goodbyes = [line.split() for line in ledger if line.startswith("signed off")]
    assert len(goodbyes) == 3
    assert sum(int(words[-2]) for words in goodbyes) == 3


TWICE = """
from datetime import UTC, datetime
from pathlib import Path
from django.conf import settings
from shop.gearman_workers.worker_bar import thumbnail
from shop.gearman_workers.worker_foo import invoice, sales_report

def made():
    thumbnail(1), invoice(1)
    names = ("thumbnails/1.png", "invoices/1.html")
    return [Path(settings.SHOP_DATA, name).read_bytes() for name in names]

assert made() == made()
print(sales_report(datetime(2026, 3, 2, 20, tzinfo=UTC)))  # what its schedule gives it
"""


def test_shop__tasks_are_functions_that_do_the_same_each_time(shop: Shop) -> None:
    assert shop.manage("shell", "-v", "0", "-c", TWICE).split() == ["7.55"]
    assert shop.ledger() == [*["thumbnail 1", "invoice 1"] * 2, "sales_report 2026-03-02"]
    assert (shop.data / "reports" / "2026-03-02.csv").exists()


AGAIN = f"""
from django.core.management import call_command
from gearfleet.contrib.django.models import Schedule

call_command("open_shop", orders={ORDERS}, verbosity=0)
call_command("makemigrations", check=True, dry_run=True, verbosity=0)
print(Schedule.objects.get().name)
"""


def test_shop__opening_it_again_changes_nothing_and_its_migrations_are_there(shop: Shop) -> None:
    def everything() -> dict[str, Any]:
        return {path.name: path.read_bytes() for path in (shop.data / "photos").iterdir()}

    before = everything()
    said = shop.manage("shell", "-v", "0", "-c", AGAIN)
    assert said.splitlines()[-1] == "overdue report"
    assert everything() == before
    assert len(before) == ORDERS
