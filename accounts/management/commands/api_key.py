"""`manage.py api_key create EMAIL`: a key for a script, printed once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import keys
from accounts.models import ApiKey, User


class Command(BaseCommand):
    help = "Creates an API key and prints it: it cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["create"])
        parser.add_argument("email")
        parser.add_argument("--name", default="manage.py")
        parser.add_argument(
            "--scopes", nargs="+", choices=ApiKey.Scope.values, default=ApiKey.Scope.values
        )
        parser.add_argument("--spend-limit", type=int, help="credits a calendar month")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = User.objects.filter(email__iexact=options["email"]).first()
        if owner is None:
            raise CommandError(f"Nobody has the address {options['email']}.")
        _, secret = keys.create(
            owner,
            name=options["name"],
            scopes=options["scopes"],
            spend_limit=options["spend_limit"],
        )
        self.stdout.write(secret)
