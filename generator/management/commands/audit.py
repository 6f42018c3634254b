"""Whether everything that must be true of rows and files is true."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from generator.jobs.audit import Outcome, audit

SHOWN = 5  # examples of one kind; the count says how many there are


class Command(BaseCommand):
    help = "Check credits, jobs, weights and files. Reads only; safe while the studio runs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--strict", action="store_true", help="exit with status 1 if a promise is broken"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        outcomes = audit()
        for outcome in outcomes:
            self._tell(outcome)
        broken = sum(len(outcome.found) for outcome in outcomes if outcome.check.is_strict)
        self.stdout.write("All is well." if not broken else f"{broken} broken promises.")
        if broken and options["strict"]:
            sys.exit(1)

    def _tell(self, outcome: Outcome) -> None:
        verdict = "ok" if not outcome.found else len(outcome.found)
        self.stdout.write(f"{verdict!s:>4}  {outcome.check.code}  {outcome.check.promise}")
        for line in outcome.found[:SHOWN]:
            self.stdout.write(f"         {line}")
