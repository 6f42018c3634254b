"""Who asks: an API key in a header, what it may do, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.cache import caches
from django.http import HttpRequest
from ninja.security import APIKeyHeader

from accounts import keys
from accounts.limits import count
from accounts.models import ApiKey, User
from billing.plans import plan_by
from billing.refusals import Refusal

MINUTE_S = 60
_KEYS = keys.WORKING.select_related("owner__subscription").only(  # asked for with every request
    "name", "prefix", "scopes", "spend_limit", "last_used_at", "owner__email", "owner__is_active",
    "owner__subscription__plan", "owner__subscription__paid_until",
)  # fmt: skip


@dataclass(frozen=True)
class Rate:
    """What is left of a person's minute."""

    limit: int
    left: int
    reset_s: int


class TooOften(Refusal):
    def __init__(self, wait_s: int) -> None:
        self.wait_s = wait_s
        words = f"Too many requests. Try again in {wait_s} s."
        super().__init__("rate_limited", words, status=429)


class Key(APIKeyHeader):
    """A key with this scope in `header`, or as `Authorization: Bearer`.

    `missing`: the status where none was sent, which differs between the services people know.
    """

    def __init__(self, scope: str, *, header: str = "X-API-Key", missing: int = 401) -> None:
        self.param_name = header
        self.title = f"{header}-{scope}"  # in the schema
        self.scope, self.missing = scope, missing
        super().__init__()

    def _get_key(self, request: HttpRequest) -> str | None:
        sent = request.headers.get(self.param_name, "")
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        return sent or (bearer.strip() if scheme.lower() == "bearer" else "")

    def authenticate(self, request: HttpRequest, key: str | None) -> ApiKey:
        """Raises Refusal: key_missing, key_invalid, rate_limited, scope_missing."""
        if not key:
            words = f"Send an API key in the header {self.param_name}."
            raise Refusal("key_missing", words, status=self.missing)
        found = keys.authenticate(key, _KEYS)
        if found is None:
            raise Refusal("key_invalid", "This API key does not work.", status=401)
        request.user = found.owner
        _count(request, found.owner)
        if self.scope not in found.scopes:
            words = f"This API key may not “{self.scope}”."
            raise Refusal("scope_missing", words, status=403)
        return found


def _count(request: Any, owner: User) -> None:
    limit = plan_by(getattr(owner, "subscription", None)).api_requests
    taken, reset_s = count(f"api:{owner.pk}", MINUTE_S, store=caches["counters"])
    request.rate = Rate(limit, max(0, limit - taken), reset_s)
    if taken > limit:
        raise TooOften(reset_s)


def owner(request: HttpRequest) -> User:
    """Whose key it is."""
    assert isinstance(request.user, User)
    return request.user


def api_key(request: HttpRequest) -> ApiKey:
    found = request.auth  # type: ignore[attr-defined]
    assert isinstance(found, ApiKey)
    return found
