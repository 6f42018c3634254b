"""Prices: whole cents for Stripe, short words for people. Never a float."""

from __future__ import annotations

import re
from decimal import Decimal

# https://docs.stripe.com/currencies#zero-decimal
WITHOUT_CENTS = (
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga",
    "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf",
)  # fmt: skip
SIGNS = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}
CURRENCY = re.compile(r"[a-z]{3}")


def places(currency: str) -> int:
    """Digits after the point."""
    return 0 if currency in WITHOUT_CENTS else 2


def cents(price: Decimal, currency: str) -> int:
    """9.00 in "usd" is 900, 900 in "jpy" is 900."""
    return int(price.scaleb(places(currency)))


def is_exact(price: Decimal, currency: str) -> bool:
    """Whether the currency has coins for it."""
    return price.is_finite() and price == round(price, places(currency))


def words(amount: int, currency: str) -> str:
    """900 in "usd" is `$9`, 950 is `$9.50`; `9 CHF` where a sign would be a guess."""
    price = Decimal(amount).scaleb(-places(currency))
    number = f"{price:,.0f}" if price == price.to_integral_value() else f"{price:,.2f}"
    sign = SIGNS.get(currency, "")
    return f"{sign}{number}" if sign else f"{number} {currency.upper()}"
