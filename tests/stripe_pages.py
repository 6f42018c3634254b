"""The simulator's pages: Checkout and the Portal, plain forms that a browser can press."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from tests.stripe_objects import Declined

if TYPE_CHECKING:
    from tests.stripe_server import Simulator

Row = dict[str, Any]
HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width"><title>Test payments</title><main>"""


def page(account: Simulator, method: str, path: str, sent: Row) -> str:
    """HTML, or the address to go on to. Raises KeyError for what is not there."""
    _, place, kind, name = path.split("/")
    row = account.rows[name]
    if (place, kind) == ("c", "pay"):
        return _checkout(account, row, method, sent)
    if (place, kind) == ("p", "session"):
        return _portal(account, row, method, sent)
    raise KeyError(path)


def _checkout(account: Simulator, session: Row, method: str, sent: Row) -> str:
    problem = ""
    if method == "POST":
        account.cards[session["customer"]] = sent.get("card") != "declined"
        try:
            account.pay_session(session)
        except Declined as error:
            problem = str(error)
        else:
            return str(session["success_url"])
    if session["status"] != "open":
        return f"{HEAD}<h1>This page has expired</h1>"
    price = account.rows[session["_price"]]
    product = account.rows[price["product"]]
    every = f" per {price['recurring']['interval']}" if price.get("recurring") else ""
    return f"""{HEAD}<h1>{escape(product["name"])}</h1>
        <p id="amount">{price["unit_amount"] / 100:.2f} {price["currency"].upper()}{every}</p>
        <p role="alert">{escape(problem)}</p>
        <form method="post"><button name="card" value="good">Pay</button>
        <button name="card" value="declined">Pay with a card that is declined</button></form>
        <a href="{escape(session["cancel_url"])}">Back</a>"""


def _portal(account: Simulator, session: Row, method: str, sent: Row) -> str:
    living = [
        sub for sub in account.of("subscription", customer=session["customer"])
        if sub["status"] in ("active", "past_due")
    ]  # fmt: skip
    flow = session.get("flow_data")
    if method == "POST" and living:
        return _done(account, session, living[0], flow, sent)
    back = f'<a href="{escape(session["return_url"])}">Return</a>'
    if not living:
        return f"{HEAD}<h1>No plan</h1>{back}"
    price = living[0]["items"]["data"][0]["price"]
    name = escape(account.rows[price["product"]]["name"])
    if flow:
        wanted = account.rows[flow["subscription_update_confirm"]["items"][0]["price"]]
        new = escape(account.rows[wanted["product"]]["name"])
        return f"""{HEAD}<h1>Confirm your updates</h1><p>{name} becomes {new}</p>
            <form method="post"><button name="do" value="change">Confirm</button></form>{back}"""
    state = "ends at the end of the period" if living[0]["cancel_at_period_end"] else "active"
    return f"""{HEAD}<h1>Current plan: {name}</h1><p id="state">{state}</p>
        <form method="post"><button name="do" value="cancel">Cancel plan</button>
        <button name="do" value="good-card">Use a card that works</button>
        <button name="do" value="bad-card">Use a card that is declined</button></form>{back}"""


def _done(account: Simulator, session: Row, sub: Row, flow: Row | None, sent: Row) -> str:
    what = sent.get("do", "")
    if what == "change" and flow:
        wanted = flow["subscription_update_confirm"]["items"][0]["price"]
        account.change(sub, account.rows[wanted])
        done: str = flow["after_completion"]["redirect"]["return_url"]
        return done
    if what == "cancel":
        account.cancel(sub)
    if what.endswith("-card"):
        account.cards[session["customer"]] = what == "good-card"
    return str(session["url"])
