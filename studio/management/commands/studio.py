"""`manage.py studio`: the whole product in one command."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
import threading
from argparse import ArgumentParser
from typing import Any
from urllib.parse import urlsplit

import watchfiles
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from studio.supervisor import RESTART, Child, Supervisor

BACKLOG = 256  # connections that wait while the web process is replaced
ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1"}  # every address includes this one
WATCHED = ("accounts", "billing", "generator", "static", "studio", "templates")


class Command(BaseCommand):
    help = "Prepares the database, then runs the pages and the worker until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--host", default="127.0.0.1", help="address to listen at; set SITE_URL too"
        )
        parser.add_argument("--port", type=int, default=8000, help="0: any free one")
        parser.add_argument("--reload", action="store_true", help="restart when source changes")

    def handle(self, *args: Any, host: str, port: int, reload: bool, **options: Any) -> None:
        listener = listen(host, port)
        site = site_url(host, listener.getsockname()[1])
        call_command("migrate", interactive=False, verbosity=0)
        web = Child("web", python("studio.web", listener.fileno()), (listener.fileno(),))
        worker = Child("worker", python("studio.worker"))
        supervisor = Supervisor(
            [web, worker], environment=os.environ | {"SITE_URL": site}, say=self.say
        )
        supervisor.start()
        if not supervisor.wait_until(lambda: answers(listener, site), needs=web):
            died = not web.is_running
            supervisor.stop()
            if died:
                raise CommandError("The web process ended before it answered: see above.")
            return
        self.say(f"{settings.SITE_NAME} is at {site}/")
        if urlsplit(site).port != listener.getsockname()[1]:
            self.say(f"A proxy has to pass its requests on to port {listener.getsockname()[1]}.")
        if reload:
            threading.Thread(target=restart_on_change, daemon=True).start()
        supervisor.run()

    def say(self, sentence: str) -> None:
        self.stdout.write(sentence)
        self.stdout.flush()


def python(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", module, *map(str, arguments)]


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises CommandError in words if the port cannot be had."""
    try:
        return socket.create_server((host, port), backlog=BACKLOG)
    except OSError as error:
        raise CommandError(
            f"Port {port} of {host} cannot be used: {os.strerror(error.errno or 0)}. "
            f"Choose another: python manage.py studio --port {port + 1}"
        ) from None


def site_url(host: str, port: int) -> str:
    """Where people find this studio: what SITE_URL says, else what the socket says.

    A SITE_URL on this computer follows the port in use: no proxy stands in between.
    """
    given = os.environ.get("SITE_URL", "").rstrip("/")
    if given and (settings.IS_HTTPS or not settings.IS_LOCAL):
        return given
    name = urlsplit(given).hostname or ANYWHERE.get(host, host)
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def answers(listener: socket.socket, site: str) -> bool:
    """Whether the web process behind `listener` is well. Asks by the name it serves."""
    host, port = listener.getsockname()[:2]
    connection = http.client.HTTPConnection(ANYWHERE.get(host, host), port, timeout=5)
    try:
        connection.request("GET", "/healthz/", headers={"Host": urlsplit(site).netloc})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def restart_on_change() -> None:
    folders = [settings.BASE_DIR / name for name in WATCHED]
    for _ in watchfiles.watch(*folders, raise_interrupt=False):
        os.kill(os.getpid(), signal.Signals(RESTART))
