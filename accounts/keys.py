"""API keys: made and revoked by their owner, shown once, kept as a digest."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import ApiKey, User

KEYS_MAX = 20  # of one person, those that work
NAME_MAX = 60
MARK = "lk_"
USED_EVERY = timedelta(minutes=1)  # how exactly the last use is known
WORKING = ApiKey.objects.filter(revoked_at__isnull=True, owner__is_active=True).order_by()
_ACTING: ContextVar[ApiKey | None] = ContextVar("acting api key", default=None)


def create(
    owner: User, *, name: str, scopes: Sequence[str], spend_limit: int | None = None
) -> tuple[ApiKey, str]:
    """The row, and the secret that nobody can be shown again."""
    secret = MARK + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        owner=owner,
        name=name[:NAME_MAX],
        prefix=secret[:10],
        digest=_digest(secret),
        scopes=[scope for scope in ApiKey.Scope.values if scope in scopes],
        spend_limit=spend_limit,
    )
    return key, secret


def authenticate(secret: str, known: QuerySet[ApiKey] = WORKING) -> ApiKey | None:
    """Whose key this is, if it works. One query, whatever was sent; `known`: what comes with it."""
    try:
        key = known.get(digest=_digest(secret))
    except ApiKey.DoesNotExist:
        return None
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at > USED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
    return key


def revoke(key: ApiKey) -> None:
    """At once and for good."""
    ApiKey.objects.filter(Q(pk=key.pk), revoked_at__isnull=True).update(revoked_at=timezone.now())


def working(owner: User) -> int:
    return owner.api_keys.filter(revoked_at__isnull=True).count()


# --- who asks --------------------------------------------------------------------------------
def acting() -> ApiKey | None:
    """The key in whose name this thread or task works; None where a person does."""
    return _ACTING.get()


@contextmanager
def in_name_of(key: ApiKey | None) -> Iterator[None]:
    """What is charged within counts for this key."""
    token = _ACTING.set(key)
    try:
        yield
    finally:
        _ACTING.reset(token)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
