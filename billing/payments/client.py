"""The way to Stripe. Without a key there is none, and pages say that payments are not set up."""

from __future__ import annotations

from functools import lru_cache

import stripe
from django.conf import settings
from stripe import StripeClient

from billing.refusals import Refusal

TIMEOUT_S = 8  # a person waits for it; what fails is tried again
RETRIES = 2  # of a request that did not arrive; the library gives each an idempotency key


def is_set_up() -> bool:
    return bool(settings.STRIPE_SECRET_KEY)


def is_live() -> bool:
    """Whether real cards are charged: `sk_live_…` or a restricted `rk_live_…`."""
    return "_live_" in str(settings.STRIPE_SECRET_KEY)


def client() -> StripeClient:
    """Raises Refusal("no_payments") where no key is set."""
    if not is_set_up():
        raise Refusal("no_payments", "Payments are not set up on this installation.", status=409)
    return _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE)


@lru_cache(maxsize=4)  # one of each pair of settings: tests have several
def _client(key: str, base: str) -> StripeClient:
    return StripeClient(
        key,
        base_addresses={"api": base} if base else {},
        max_network_retries=RETRIES,
        http_client=stripe.RequestsClient(timeout=TIMEOUT_S),
    )
