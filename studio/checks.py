"""What `manage.py check` says about this installation that Django's own checks do not.

Errors stop `manage.py studio`; those of the deployment part (`--deploy`) do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from generator.engine import registry
from generator.engine.interface import Description, EngineError
from generator.jobs import blocked

Configs = Sequence[AppConfig] | None


@register(Tags.security)
def check_private_pictures(app_configs: Configs = None, **kwargs: Any) -> list[CheckMessage]:
    """Whatever lies below a static folder is served to everybody by its path."""
    media = Path(settings.MEDIA_ROOT).resolve()
    public = [
        Path(folder).resolve() for folder in (settings.STATIC_ROOT, *settings.STATICFILES_DIRS)
    ]
    return [
        Error(
            f"Private pictures ({media}) would be served to everybody as static files ({folder}).",
            hint="Give MEDIA_ROOT a folder outside every static folder, and none inside it.",
            id="studio.E001",
        )
        for folder in public
        if media.is_relative_to(folder) or folder.is_relative_to(media)
    ]


@register(Tags.security)
def check_debug_is_local(app_configs: Configs = None, **kwargs: Any) -> list[CheckMessage]:
    if not settings.DEBUG or settings.IS_LOCAL:
        return []
    return [
        Error(
            f"DEBUG shows source and settings to whoever opens {settings.SITE_URL}.",
            hint="Leave DEBUG blank, or SITE_URL at 127.0.0.1.",
            id="studio.E002",
        )
    ]


@register(Tags.database)
def check_sqlite_takes_turns(app_configs: Configs = None, **kwargs: Any) -> list[CheckMessage]:
    """DEFERRED transactions gave thousands of "database is locked" under load."""
    database = settings.DATABASES["default"]
    options = database.get("OPTIONS", {})
    is_fine = options.get("transaction_mode") == "IMMEDIATE" and (
        "journal_mode=wal" in options.get("init_command", "").lower()
    )
    if "sqlite" not in database["ENGINE"] or is_fine:
        return []
    return [
        Error(
            "SQLite would lose credits' locks: it needs IMMEDIATE transactions and WAL.",
            hint="Keep the OPTIONS of studio/settings.py.",
            id="studio.E003",
        )
    ]


@register(Tags.compatibility)
def check_engine_may_be_used(app_configs: Configs = None, **kwargs: Any) -> list[CheckMessage]:
    try:
        engine = registry.describe(settings.ENGINE_IMAGE)
    except EngineError as error:
        return [Error(error.message, hint="Change ENGINE_IMAGE.", id="studio.E005")]
    return [
        Error(
            why,
            hint="Choose another ENGINE_IMAGE, or leave COMMERCIAL_ONLY blank.",
            id="studio.E004",
        )
        for why in _refusals(engine)
    ]


def _refusals(engine: Description) -> Iterator[str]:
    """Of the engine, and of the one that makes its clips."""
    weights = registry.weights_of(engine.name)
    others = [registry.describe(weights.video)] if weights and weights.video else []
    for each in (engine, *others):
        if why := registry.refusal(each, commercial_only=settings.COMMERCIAL_ONLY):
            yield why


@register(Tags.compatibility)
def check_face_files(app_configs: Configs = None, **kwargs: Any) -> list[CheckMessage]:
    """One of the two measures nothing, and a name that is misspelt neither."""
    given = {name: getattr(settings, name) for name in ("FACE_DETECTOR", "FACE_EMBEDDER")}
    if any(given.values()) and not all(given.values()):
        lacking = next(name for name, path in given.items() if not path)
        return [Error(f"{lacking} is blank: likeness needs both files.", id="studio.E011")]
    return [
        Error(f"{name} names no file ({path}).", id="studio.E011")
        for name, path in given.items()
        if path and not Path(path).is_file()
    ]


@register(Tags.security)
def check_fetch_exemptions(app_configs: Configs = None, **kwargs: Any) -> list[CheckMessage]:
    """A pair that is misspelt exempts nothing, and nobody would be told."""
    return [
        Error(
            f"FETCH_ALLOW names {pair!r}, which is not host:port.",
            hint="Write store.lan:9000, or [fd00::5]:80, separated by commas.",
            id="studio.E010",
        )
        for pair in settings.FETCH_ALLOW
        if not re.fullmatch(r"(\[[0-9a-f:.]+\]|[\w.-]+):[0-9]{1,5}", pair.strip(), re.I)
    ]


@register(Tags.security)
def check_blocked_words(app_configs: Configs = None, **kwargs: Any) -> list[CheckMessage]:
    """A list that cannot be read would block nothing, or everything."""
    try:
        if settings.BLOCKED_WORDS:
            blocked.blocked()
    except (OSError, ValueError) as error:
        hint = "One word or phrase a line, in UTF-8: see docs/blocked-words.example.txt."
        return [Error(f"BLOCKED_WORDS cannot be read: {error}", hint=hint, id="studio.E011")]
    return []


@register(Tags.security, deploy=True)
def check_machines_share_a_secret(app_configs: Configs = None, **kwargs: Any) -> list[CheckMessage]:
    """The secret kept in VAR_DIR is a good one, but another machine would make its own."""
    if settings.IS_EMBEDDED or not settings.SECRET_KEY_IS_KEPT:
        return []
    return [
        Error(
            "Web and worker machines need the same SECRET_KEY; this one made its own.",
            hint="Set SECRET_KEY to 50 random characters or more, the same everywhere.",
            id="studio.E006",
        )
    ]


@register(Tags.security, deploy=True)
def check_hosts_are_named(app_configs: Configs = None, **kwargs: Any) -> list[CheckMessage]:
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Error(
            "ALLOWED_HOSTS=* lets anybody put another name into the mails sent from here.",
            hint="Name the hosts, or leave it blank: SITE_URL's host is allowed.",
            id="studio.E007",
        )
    ]


@register(Tags.security, deploy=True)
def check_tls(app_configs: Configs = None, **kwargs: Any) -> list[CheckMessage]:
    if settings.IS_HTTPS or settings.IS_LOCAL:
        return []
    return [
        Warning(
            f"Passwords and pictures cross the network in the open at {settings.SITE_URL}.",
            hint="Put a TLS proxy in front and set SITE_URL=https://… and TRUSTED_PROXY=1.",
            id="studio.W001",
        )
    ]
