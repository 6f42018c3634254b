"""What is for sale, by the words of plans.toml.

Each price of the file is a price at Stripe, found by its lookup key and made on first need; a price
that was changed in the file replaces it for new customers. Who runs the studio edits the file,
nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import stripe
from django.conf import settings

from billing import money
from billing.payments.client import client
from billing.plans import BOOK, PLANS, Package, Plan
from billing.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERVALS = ("month", "year")


@dataclass(frozen=True)
class Offer:
    """One thing with a price."""

    product: str  # our own id of the product at Stripe
    title: str
    amount: int  # whole coins
    interval: str  # "month", "year", or "" for once
    metadata: dict[str, str]

    @property
    def lookup_key(self) -> str:
        return "_".join(word for word in (self.product, self.interval, BOOK.currency) if word)

    @property
    def price(self) -> str:
        """`$9`"""
        return money.words(self.amount, BOOK.currency)


def plan_offer(plan: Plan, interval: str) -> Offer:
    """Raises Refusal("not_for_sale")."""
    price = plan.price(interval) if interval in INTERVALS else None
    if price is None:
        raise Refusal("not_for_sale", f"{plan.title} cannot be bought like this.", status=409)
    amount = money.cents(price, BOOK.currency)
    title = f"{settings.SITE_NAME} {plan.title}"
    return Offer(f"likeness_{plan.name}", title, amount, interval, {"plan": plan.name})


def package_offer(package: Package) -> Offer:
    amount = money.cents(package.price, BOOK.currency)
    about = {"package": package.name, "credits": str(package.credits)}
    title = f"{package.credits:,} credits"
    return Offer(f"likeness_credits_{package.name}", title, amount, "", about)


def offers() -> list[tuple[Plan, dict[str, Offer]]]:
    """Plans that can be bought, each with its offers by interval."""
    return [
        (plan, {every: plan_offer(plan, every) for every in INTERVALS if plan.price(every)})
        for plan in PLANS.values()
        if plan.is_for_sale
    ]


def price_id(offer: Offer) -> str:
    """Stripe's id of this price, made if the file is ahead of Stripe."""
    wanted = {"lookup_keys": [offer.lookup_key], "active": True, "limit": 1}
    found = client().v1.prices.list(wanted).data  # type: ignore[arg-type]
    if found and found[0].unit_amount == offer.amount:
        return found[0].id
    _need_product(offer)
    params: dict[str, Any] = {
        "product": offer.product,
        "currency": BOOK.currency,
        "unit_amount": offer.amount,
        "lookup_key": offer.lookup_key,
        "transfer_lookup_key": True,
        "metadata": offer.metadata,
    }
    if offer.interval:
        params["recurring"] = {"interval": offer.interval}
    return client().v1.prices.create(params).id  # type: ignore[arg-type]


def _need_product(offer: Offer) -> None:
    try:
        client().v1.products.retrieve(offer.product)
    except stripe.InvalidRequestError:
        about: dict[str, Any] = {"id": offer.product, "name": offer.title}
        options: Any = {"idempotency_key": f"product-{offer.product}"}
        client().v1.products.create({**about, "metadata": offer.metadata}, options)  # type: ignore[typeddict-item]


def plan_of_price(price: Mapping[str, Any]) -> Plan | None:
    """Which of our plans a price of Stripe's pays for; old prices know it by their metadata."""
    name = (price.get("metadata") or {}).get("plan") or ""
    key = price.get("lookup_key") or ""
    if not name and key.startswith("likeness_"):
        name = key.removeprefix("likeness_").split("_")[0]
    return PLANS.get(name)
