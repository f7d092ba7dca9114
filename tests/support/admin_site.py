"""A Django project with the admin, a worker, and results in its database."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.originals.projects import Project, make_project, starting
from tests.support.ports import free_port
from tests.support.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.processes import Process

WORKER = """\
from decimal import Decimal
from pathlib import Path

from gearfleet import periodic, task

MENDED = Path(__file__).parents[2] / "mended"
HOLD = Path(__file__).parents[2] / "hold"

@task(queue="prices")
def price(copies: int) -> Decimal:
    return Decimal("0.35") * copies

@task(queue="photos")
def develop(photo: str) -> str:
    if not MENDED.exists():
        raise LookupError(f"no such photo: <b>{photo}</b>")
    return f"developed {photo}"

@task(queue="photos")
def hang(seconds: float = 0.01) -> None:
    import time
    while HOLD.exists():
        time.sleep(seconds)

@periodic("yearly", name="stocktaking")
@task(queue="prices")
def count() -> int:
    return 3
"""

SETTINGS = """\
ROOT_URLCONF = "urls"
DEBUG = True
STATIC_URL = "static/"
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS += [
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
    "django.contrib.sessions", "django.contrib.messages", "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
DATABASES = {"default": {
    "ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3", "OPTIONS": {"timeout": 20},
}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
GEARFLEET["RESULTS"] = "django"
"""

URLS = """\
from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
"""


def tell_story(project: Project, tasks: str, script: str, settings: str = SETTINGS) -> None:
    """Run a script in a project with the admin and these tasks; nothing of it runs besides."""
    project.add_settings(settings)
    (project.folder / "urls.py").write_text(URLS)
    (project.folder / "myapp" / "tasks.py").write_text(tasks)
    (project.folder / "story.py").write_text(script)
    environment = {**project.environment, "DJANGO_SETTINGS_MODULE": "settings"}
    command = [sys.executable, "-W", "error", "story.py"]
    done = run(command, cwd=project.folder, env=environment)
    assert done.returncode == 0, done.stderr


#: Of the user who may do everything.
NAME, PASSWORD = "boss", "of this test"


class AdminSite:
    """The project, whose tables are made; nothing of it runs yet."""

    def __init__(self, folder: Path, server: str) -> None:
        self.project: Project = make_project(folder, server, {"worker_foo": WORKER})
        self.project.add_settings(SETTINGS + f'GEARFLEET["PREFIX"] = "{folder.name}."\n')
        (folder / "urls.py").write_text(URLS)
        self.folder = folder
        self.manage("migrate")
        self.manage("createsuperuser", "--noinput", "--username", NAME, "--email", "b@example.com")

    def manage(self, *words: str) -> str:
        environment = {**self.project.environment, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
        done = run(self.project.manage(*words), cwd=self.folder, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def python(self, script: str) -> str:
        """Run a script in the project, with Django set up; return what it prints."""
        path = self.folder / "script.py"
        path.write_text(f"import django\ndjango.setup()\n{script}")
        environment = {**self.project.environment, "DJANGO_SETTINGS_MODULE": "settings"}
        command = [sys.executable, "-W", "error", str(path)]
        done = run(command, cwd=self.folder, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def working(self) -> Iterator[Process]:
        """Have a worker of all tasks while the block runs."""
        with starting(self.project) as start:
            worker = start("gearman_worker", "-a", "myapp", "-n", "worker_foo")
            worker.wait_for_output("Registered at job server")
            yield worker

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Have a web server while the block runs; yield the address of the admin."""
        port = free_port()
        with starting(self.project) as start:
            server = start("runserver", f"127.0.0.1:{port}", "--noreload")
            server.wait_for_output("Quit the server")
            yield f"http://127.0.0.1:{port}/admin/"
