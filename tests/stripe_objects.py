"""Stripe's objects as its API tells of them, and what happens to them as time passes.

A truth of its own: the tests compare our ledger with it. Knows nothing of HTTP (stripe_server.py)
and nothing of the studio. Shapes follow the API version of the `stripe` package: a period belongs
to the subscription's item, an invoice's subscription stands under `parent.subscription_details`,
and a payment intent knows no invoice.
"""

from __future__ import annotations

import copy
import json
import threading
import time
import uuid
from typing import Any

import stripe

Row = dict[str, Any]
DAY_S = 86_400
RETRY_DAYS = (3, 8, 14)  # after the first failure; then the subscription ends
LENGTH_S = {"month": 30 * DAY_S, "year": 365 * DAY_S}
NAMES = {
    "customer": "cus", "product": "prod", "price": "price", "subscription": "sub",
    "subscription_item": "si", "invoice": "in", "invoiceitem": "il", "invoice_payment": "inpay",
    "payment_intent": "pi", "charge": "ch", "refund": "re", "dispute": "du", "event": "evt",
    "checkout.session": "cs", "billing_portal.session": "bps",
    "billing_portal.configuration": "bpc",
}  # fmt: skip


class Declined(Exception):
    """The card was."""


class Account:
    """One Stripe account: its objects, its events and its clock."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.events: list[Row] = []
        self.lock = threading.RLock()
        self.skew_s = 0
        self.cards: dict[str, bool] = {}  # customer -> whether the card works
        self.heard: list[Any] = []  # called with every event

    # --- objects -------------------------------------------------------------
    def now(self) -> int:
        return int(time.time()) + self.skew_s

    def make(self, kind: str, **fields: Any) -> Row:
        name = fields.pop("id", None) or f"{NAMES[kind]}_{uuid.uuid4().hex[:20]}"
        row = {"id": name, "object": kind, "created": self.now(), "livemode": False, **fields}
        self.rows[name] = row
        return row

    def of(self, kind: str, **wanted: Any) -> list[Row]:
        """Newest first, as lists are."""
        found = [row for row in self.rows.values() if row["object"] == kind]
        for name, value in wanted.items():
            found = [row for row in found if row.get(name) == value]
        return list(reversed(found))

    def tell(self, kind: str, row: Row) -> Row:
        """An event with the object as it is now."""
        event = self.make(
            "event", type=kind, api_version=stripe.api_version, pending_webhooks=1,
            request={"id": None, "idempotency_key": None},
            data={"object": copy.deepcopy(row)},
        )  # fmt: skip
        self.events.append(event)
        for hear in self.heard:
            hear(event)
        return event

    # --- buying --------------------------------------------------------------
    def pay_session(self, session: Row) -> None:
        """What the button of the Checkout page does. Raises Declined."""
        if session["status"] != "open":
            raise Declined("This page is no longer open.")
        price = self.rows[session["_price"]]
        about = session["_payment_metadata"]
        if session["mode"] == "payment":
            intent = self._intent(session["customer"], price["unit_amount"], about)
            self._collect(intent)
            session["payment_intent"] = intent["id"]
        else:
            made = self._subscribe(session["customer"], price, about)
            session["subscription"] = made["id"]
        session.update(status="complete", payment_status="paid")
        self.tell("checkout.session.completed", session)

    def _subscribe(self, customer: str, price: Row, metadata: Row) -> Row:
        if not self.cards.get(customer, True):
            raise Declined("Your card was declined.")
        start = self.now()
        item = self.make(
            "subscription_item", price=price, quantity=1, current_period_start=start,
            current_period_end=start + LENGTH_S[price["recurring"]["interval"]],
        )  # fmt: skip
        made = self.make(
            "subscription", customer=customer, status="active", metadata=metadata, cancel_at=None,
            cancel_at_period_end=False, canceled_at=None, trial_end=None, latest_invoice=None,
            items={"object": "list", "data": [item], "has_more": False}, _failures=0,
        )  # fmt: skip
        self._bill(made, [(price["unit_amount"], start, item["current_period_end"], False)],
                   "subscription_create")  # fmt: skip
        self.tell("customer.subscription.created", made)
        return made

    def _bill(self, sub: Row, lines: list[tuple[int, int, int, bool]], reason: str) -> Row:
        """An invoice for these (amount, start, end, proration), paid if the card works."""
        shown = [
            self.make("invoiceitem", object="line_item", amount=amount,
                      period={"start": start, "end": end},
                      parent={"subscription_item_details": {"proration": is_part}})
            for amount, start, end, is_part in lines
        ]  # fmt: skip
        invoice = self.make(
            "invoice", customer=sub["customer"], billing_reason=reason, status="open",
            total=max(0, sum(line[0] for line in lines)), attempt_count=1,
            parent={"type": "subscription_details",
                    "subscription_details": {"subscription": sub["id"], "metadata": {}}},
            lines={"object": "list", "data": shown, "has_more": False},
        )  # fmt: skip
        sub["latest_invoice"] = invoice["id"]
        self.tell("invoice.created", invoice)
        self._try_invoice(invoice)
        return invoice

    def _try_invoice(self, invoice: Row) -> bool:
        intent = None
        if invoice["total"]:
            if not self.cards.get(invoice["customer"], True):
                self.tell("invoice.payment_failed", invoice)
                return False
            intent = self._intent(invoice["customer"], invoice["total"], {})
            self._collect(intent)
            by = {"type": "payment_intent", "payment_intent": intent["id"]}
            self.make("invoice_payment", invoice=invoice["id"], status="paid", payment=by)
        invoice["status"] = "paid"
        self.tell("invoice.paid", invoice)
        return True

    def _intent(self, customer: str, amount: int, metadata: Row) -> Row:
        return self.make(
            "payment_intent", customer=customer, amount=amount, amount_received=0, currency="usd",
            status="requires_payment_method", metadata=metadata, latest_charge=None,
        )  # fmt: skip

    def _collect(self, intent: Row) -> None:
        if not self.cards.get(intent["customer"], True):
            raise Declined("Your card was declined.")
        charge = self.make(
            "charge", customer=intent["customer"], amount=intent["amount"], amount_refunded=0,
            payment_intent=intent["id"], status="succeeded", disputed=False, refunded=False,
        )  # fmt: skip
        intent.update(
            status="succeeded", amount_received=intent["amount"], latest_charge=charge["id"]
        )
        self.tell("charge.succeeded", charge)
        self.tell("payment_intent.succeeded", intent)

    # --- changing ------------------------------------------------------------
    def change(self, sub: Row, price: Row) -> None:
        """Another price now: a new period, less what was not used of the old one."""
        item, now = sub["items"]["data"][0], self.now()
        old, end = item["price"], item["current_period_end"]
        left = max(0, end - now) / (end - item["current_period_start"])
        new_end = now + LENGTH_S[price["recurring"]["interval"]]
        lines = [
            (-round(old["unit_amount"] * left), now, end, True),
            (price["unit_amount"], now, new_end, False),
        ]
        item.update(price=price, current_period_start=now, current_period_end=new_end)
        invoice = self._bill(sub, lines, "subscription_update")
        sub["status"] = "active" if invoice["status"] == "paid" else "past_due"
        self.tell("customer.subscription.updated", sub)

    def cancel(self, sub: Row, *, now: bool = False) -> None:
        if now:
            self._end(sub)
        else:
            sub["cancel_at_period_end"] = True
            sub["cancel_at"] = sub["items"]["data"][0]["current_period_end"]
            self.tell("customer.subscription.updated", sub)

    def _end(self, sub: Row) -> None:
        sub.update(status="canceled", canceled_at=self.now())
        self.tell("customer.subscription.deleted", sub)

    def refund(self, payment: str, amount: int | None = None) -> Row:
        charge = self.rows[self.rows[payment]["latest_charge"]]
        amount = amount or charge["amount"] - charge["amount_refunded"]
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        made = self.make("refund", amount=amount, charge=charge["id"], payment_intent=payment,
                         status="succeeded")  # fmt: skip
        self.tell("refund.created", made)
        self.tell("charge.refunded", charge)
        return made

    def dispute(self, payment: str) -> Row:
        charge = self.rows[self.rows[payment]["latest_charge"]]
        charge["disputed"] = True
        made = self.make("dispute", amount=charge["amount"], charge=charge["id"],
                         payment_intent=payment, status="needs_response")  # fmt: skip
        self.tell("charge.dispute.created", made)
        self.tell("charge.dispute.funds_withdrawn", made)
        return made

    def close_dispute(self, dispute: Row, status: str) -> None:
        dispute["status"] = status
        self.tell("charge.dispute.closed", dispute)

    # --- time ----------------------------------------------------------------
    def advance(self, days: float) -> None:
        """Renewals, failures, second tries and ends of these days, in their order."""
        until = self.now() + int(days * DAY_S)
        while (moment := self._next_moment()) and moment[0] <= until:
            at, sub = moment
            self.skew_s += max(0, at - self.now())
            self._due(sub)
        self.skew_s += max(0, until - self.now())

    def _next_moment(self) -> tuple[int, Row] | None:
        living = [row for row in self.of("subscription") if row["status"] in ("active", "past_due")]
        moments = [(self._moment_of(row), row) for row in living]
        return min(moments, key=lambda moment: moment[0], default=None)

    def _moment_of(self, sub: Row) -> int:
        item = sub["items"]["data"][0]
        if sub["status"] == "past_due":
            start: int = item["current_period_start"]
            return start + RETRY_DAYS[sub["_failures"] - 1] * DAY_S
        end: int = item["current_period_end"]
        return end

    def _due(self, sub: Row) -> None:
        if sub["cancel_at_period_end"]:
            self._end(sub)
        elif sub["status"] == "past_due":
            self._try_again(sub)
        else:
            self._renew(sub)

    def _renew(self, sub: Row) -> None:
        item = sub["items"]["data"][0]
        start, price = item["current_period_end"], item["price"]
        end = start + LENGTH_S[price["recurring"]["interval"]]
        item.update(current_period_start=start, current_period_end=end)
        invoice = self._bill(sub, [(price["unit_amount"], start, end, False)], "subscription_cycle")
        if invoice["status"] != "paid":
            sub.update(status="past_due", _failures=1)
        self.tell("customer.subscription.updated", sub)

    def _try_again(self, sub: Row) -> None:
        invoice = self.rows[sub["latest_invoice"]]
        invoice["attempt_count"] += 1
        if self._try_invoice(invoice):
            sub.update(status="active", _failures=0)
            self.tell("customer.subscription.updated", sub)
        elif sub["_failures"] < len(RETRY_DAYS):
            sub["_failures"] += 1
        else:
            self._end(sub)

    # --- what is true --------------------------------------------------------
    def credits_paid(self, customer: str) -> int:
        """Of packages: bought, less what of the money went back."""
        total = 0
        for intent in self.of("payment_intent", customer=customer, status="succeeded"):
            if "credits" in intent["metadata"]:
                charge = self.rows[intent["latest_charge"]]
                held = sum(
                    dispute["amount"]
                    for dispute in self.of("dispute", payment_intent=intent["id"])
                    if dispute["status"] in ("needs_response", "under_review", "lost")
                )
                gone = min(charge["amount_refunded"] + held, intent["amount"])
                credits = int(intent["metadata"]["credits"])
                total += credits - credits * gone // intent["amount"]
        return total


def told(row: Row) -> Row:
    """As the API shows it: nothing of ours in it."""
    shown = {word: value for word, value in row.items() if not word.startswith("_")}
    copied: Row = json.loads(json.dumps(shown))
    return copied
