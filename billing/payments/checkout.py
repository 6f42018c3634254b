"""Stripe's own pages: Checkout for buying, the Portal for changing and canceling.

No card number ever comes near this program, and no sum is worked out here.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.urls import reverse

from billing import ledger
from billing.models import Subscription
from billing.payments import settle
from billing.payments.client import client
from billing.payments.prices import Offer, offers, package_offer, plan_offer, price_id
from billing.plans import Package, Plan
from billing.refusals import Refusal

if TYPE_CHECKING:
    from accounts.models import User

PORTAL_KEPT_S = 3600  # how long the portal's configuration is not asked for again


def customer_of(user: User) -> str:
    """The person's id at Stripe, made on first need and kept before anything is bought."""
    row = Subscription.objects.filter(user=user).first()
    if row is not None and row.stripe_customer_id:
        return row.stripe_customer_id
    about: Any = {"email": user.email, "metadata": {"user": str(user.pk)}}
    # Two tabs at once meet one customer; another address or installation, another key.
    key = f"customer-{settings.SITE_URL}-{user.pk}-{user.date_joined:%s}-{user.email}"
    made = client().v1.customers.create(about, {"idempotency_key": key[:255]})
    with transaction.atomic():
        row = ledger.locked(user)
        if not row.stripe_customer_id:
            row.stripe_customer_id = made.id
            row.save(update_fields=["stripe_customer_id", "updated_at"])
    return row.stripe_customer_id


def subscribe(user: User, plan: Plan, interval: str, *, token: str) -> str:
    """The address of the page where `user` gets this plan. `token` is the form's own id.

    Who has a paid plan changes it in the Portal, which shows what that costs. Raises Refusal:
    not_for_sale, same_plan.
    """
    offer, customer = plan_offer(plan, interval), customer_of(user)
    settle.settle_plan(user)  # a second subscription must never be sold to an old page
    row = Subscription.objects.get(user=user)
    if row.stripe_subscription_id:
        return _change(row, offer)
    _expire_open(customer)
    return _session(
        offer,
        customer,
        token,
        mode="subscription",
        subscription_data={"metadata": offer.metadata},
    )


def buy(user: User, package: Package, *, token: str) -> str:
    """The address of the page where `user` buys credits once."""
    offer = package_offer(package)
    return _session(
        offer,
        customer_of(user),
        token,
        mode="payment",
        payment_intent_data={"metadata": offer.metadata, "description": offer.title},
    )


def _session(offer: Offer, customer: str, token: str, **params: Any) -> str:
    asked: Any = {
        "customer": customer,
        "line_items": [{"price": price_id(offer), "quantity": 1}],
        "success_url": f"{_done(offer)}&session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": settings.SITE_URL + reverse("checkout_canceled"),
        "metadata": offer.metadata,
        **params,
    }
    key = f"checkout-{token}-{offer.lookup_key}-{offer.amount}"  # a double click is one session
    session = client().v1.checkout.sessions.create(asked, {"idempotency_key": key})
    return str(session.url)


def _done(offer: Offer) -> str:
    """Where one comes back to, with what was wanted: Stripe's event may have brought it before."""
    return f"{settings.SITE_URL}{reverse('checkout_done')}?{urlencode(offer.metadata)}"


def _expire_open(customer: str) -> None:
    """An older tab's Checkout page must not sell a second plan."""
    sessions = client().v1.checkout.sessions
    for session in sessions.list({"customer": customer, "status": "open", "limit": 20}).data:
        if session.mode == "subscription":
            sessions.expire(session.id)


def finish(user: User, session_id: str) -> None:
    """Back from Checkout: what was paid counts at once, without waiting for Stripe's word.

    Raises Refusal("not_found") for somebody else's session.
    """
    session = client().v1.checkout.sessions.retrieve(session_id)
    row = Subscription.objects.filter(user=user).first()
    if row is None or not row.stripe_customer_id or session.customer != row.stripe_customer_id:
        raise Refusal("not_found", "There is no such payment.", status=404)
    if session.mode == "subscription":
        settle.settle_plan(user)
    elif session.payment_intent:
        settle.settle_payment(user, str(session.payment_intent))


# --- the Portal --------------------------------------------------------------
def portal(user: User) -> str:
    """The address of the page for cards, invoices, changing and canceling."""
    return _portal(customer_of(user))


def _change(row: Subscription, offer: Offer) -> str:
    """The Portal's page for this one change, which says what it costs before it is made."""
    subscription = client().v1.subscriptions.retrieve(row.stripe_subscription_id).to_dict()
    item = subscription["items"]["data"][0]
    price = price_id(offer)
    if item["price"]["id"] == price:
        raise Refusal("same_plan", "This is your plan already.", status=409)
    return _portal(
        row.stripe_customer_id,
        flow_data={
            "type": "subscription_update_confirm",
            "subscription_update_confirm": {
                "subscription": subscription["id"],
                "items": [{"id": item["id"], "price": price, "quantity": 1}],
            },
            "after_completion": {
                "type": "redirect",
                "redirect": {"return_url": _done(offer)},
            },
        },
    )


def _portal(customer: str, **flow: Any) -> str:
    asked: Any = {
        "customer": customer,
        "configuration": _configuration(),
        "return_url": settings.SITE_URL + reverse("checkout_done"),
        **flow,
    }
    return str(client().v1.billing_portal.sessions.create(asked).url)


def _configuration() -> str:
    """The Portal for our plans: a larger one starts now, a smaller one with the next period.

    Stripe charges a change at once and takes off what was not used of the old plan's time.
    """
    kept = f"stripe-portal-{_wishes()}"
    if found := cache.get(kept):
        return str(found)
    portal = client().v1.billing_portal.configurations
    for row in portal.list({"active": True, "limit": 100}).auto_paging_iter():
        if (row.to_dict().get("metadata") or {}).get("likeness") == _wishes():
            break
    else:
        row = portal.create(_features())
    cache.set(kept, row.id, PORTAL_KEPT_S)
    return row.id


def _wishes() -> str:
    """Changes with every price and address, so that an old configuration is not taken."""
    sold = [offer.lookup_key + str(offer.amount) for _, by in offers() for offer in by.values()]
    words = "\0".join([settings.SITE_URL, *sold])
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def _features() -> Any:
    products = [
        {"product": next(iter(by.values())).product, "prices": [price_id(o) for o in by.values()]}
        for _, by in offers()
    ]
    return {
        "metadata": {"likeness": _wishes()},
        "features": {
            "customer_update": {"enabled": True, "allowed_updates": ["email", "address", "tax_id"]},
            "invoice_history": {"enabled": True},
            "payment_method_update": {"enabled": True},
            "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
            "subscription_update": {
                "enabled": True,
                "default_allowed_updates": ["price"],
                "products": products,
                "proration_behavior": "always_invoice",
                "billing_cycle_anchor": "now",
                "schedule_at_period_end": {
                    "conditions": [
                        {"type": "decreasing_item_amount"},
                        {"type": "shortening_interval"},
                    ]
                },
            },
        },
    }
