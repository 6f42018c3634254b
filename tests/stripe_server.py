"""A small server that speaks Stripe's protocol, since the real one cannot be reached here.

    python -m tests.stripe_server --port 12111 --webhook http://127.0.0.1:8000/billing/stripe/

and a studio with STRIPE_SECRET_KEY=sk_test_here STRIPE_WEBHOOK_SECRET=whsec_here
STRIPE_API_BASE=http://127.0.0.1:12111 can be bought from by hand. The real `stripe` client talks to
it: form bodies, lists, expansion, lookup and idempotency keys, errors, and webhooks with the real
signature, which can be duplicated, shuffled, delayed and dropped (`undelivered`, `deliver`).
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import random
import re
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests import stripe_pages
from tests.stripe_objects import Account, Declined, Row, told

KEY, SECRET = "sk_test_here", "whsec_here"
LISTS = {
    "customers": "customer", "products": "product", "prices": "price", "events": "event",
    "subscriptions": "subscription", "invoices": "invoice", "charges": "charge",
    "invoice_payments": "invoice_payment", "payment_intents": "payment_intent",
    "refunds": "refund", "disputes": "dispute", "checkout/sessions": "checkout.session",
    "billing_portal/sessions": "billing_portal.session",
    "billing_portal/configurations": "billing_portal.configuration",
}  # fmt: skip
ALLOWED = {  # parameters of what is made; Stripe refuses unknown ones as well
    "customers": {"email", "metadata", "name"},
    "products": {"id", "name", "metadata"},
    "prices": {"product", "currency", "unit_amount", "lookup_key", "transfer_lookup_key",
               "recurring", "metadata"},
    "checkout/sessions": {"customer", "line_items", "mode", "success_url", "cancel_url", "metadata",
                          "subscription_data", "payment_intent_data", "client_reference_id"},
    "billing_portal/sessions": {"customer", "configuration", "return_url", "flow_data"},
    "billing_portal/configurations": {"metadata", "features", "business_profile"},
    "refunds": {"payment_intent", "charge", "amount", "reason", "metadata"},
}  # fmt: skip


class Refused(Exception):
    def __init__(self, status: int, message: str, kind: str = "invalid_request_error", **more: str):
        self.status = status
        self.error = {"type": kind, "message": message, **more}


def unfolded(pairs: list[tuple[str, str]]) -> Row:
    """`a[b][0]=c` into {"a": {"b": ["c"]}}, as Stripe reads its forms."""
    tree: Row = {}
    for name, value in pairs:
        words = re.findall(r"[^\[\]]+", name)
        place = tree
        for word in words[:-1]:
            place = place.setdefault(word, {})
        place[words[-1] if not name.endswith("[]") else str(len(place))] = value
    return {word: _lists(value) for word, value in tree.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {word: _lists(found) for word, found in value.items()}
    if inner and all(word.isdigit() for word in inner):
        return [inner[word] for word in sorted(inner, key=int)]
    return inner


class Simulator(Account):
    """The account behind an address, and the postman of its events."""

    def __init__(self, *, key: str = KEY, secret: str = SECRET) -> None:
        super().__init__()
        self.key, self.secret = key, secret
        self.address = ""
        self.answered: dict[tuple[str, str], tuple[str, int, Row]] = {}
        self.requests: list[str] = []
        self.is_down = False

    # --- the API -------------------------------------------------------------
    def call(self, method: str, path: str, sent: Row, *, once: str = "") -> tuple[int, Row]:
        """Status and answer. `once`: the idempotency key."""
        with self.lock:
            self.requests.append(f"{method} {path}")
            body = json.dumps(sent, sort_keys=True)
            known = self.answered.get((path, once)) if once and method == "POST" else None
            if known:
                if known[0] != body:
                    raise Refused(400, "Keys for idempotent requests can only be used with the "
                                  "same parameters.", "idempotency_error")  # fmt: skip
                return known[1], known[2]
            answer = self._answer(method, path.removeprefix("/v1/"), sent)
            if once and method == "POST":
                self.answered[path, once] = body, 200, answer
            return 200, answer

    def _answer(self, method: str, path: str, sent: Row) -> Row:
        expand = sent.pop("expand", [])
        if path in LISTS:
            if method == "POST":
                return self._expanded(self._create(path, sent), expand)
            return self._list(path, sent, expand)
        collection, _, name = path.rpartition("/")
        action = ""
        if collection not in LISTS:
            collection, _, name = collection.rpartition("/")
            action = path.rpartition("/")[2]
        row = self.rows.get(name)
        if collection not in LISTS:
            raise Refused(404, f"Unrecognized request URL ({method}: /v1/{path}).")
        if row is None or row["object"] != LISTS[collection]:
            raise Refused(404, f"No such {LISTS[collection]}: '{name}'", code="resource_missing")
        self._act(method, collection, row, action, sent)
        return self._expanded(row, expand)

    def _act(self, method: str, collection: str, row: Row, action: str, sent: Row) -> None:
        if action == "expire" and row["status"] != "open":
            raise Refused(400, "Only open sessions can be expired.")
        if action == "expire":
            row["status"] = "expired"
            self.tell("checkout.session.expired", row)
        elif method == "DELETE" and collection == "subscriptions":
            self.cancel(row, now=True)
        elif method == "POST":
            row.update({k: {"true": True, "false": False}.get(v, v) for k, v in sent.items()})

    def _list(self, path: str, sent: Row, expand: list[str]) -> Row:
        found = self.of(LISTS[path])
        limit = int(sent.pop("limit", 10))
        after = sent.pop("starting_after", "")
        if path == "prices":
            keys = sent.pop("lookup_keys", [])
            found = [row for row in found if not keys or row["lookup_key"] in keys]
        if path == "events":
            since, types = int(sent.pop("created", {}).get("gte", 0)), sent.pop("types", [])
            assert len(types) <= 20, "Stripe takes at most 20 types"
            found = [row for row in found if row["created"] >= since and row["type"] in types]
        if path == "invoice_payments":
            wanted = sent.pop("payment", {})
            found = [row for row in found if row["payment"] == wanted]
        if path == "subscriptions" and sent.get("status") == "all":
            sent.pop("status")
        for name, value in sent.items():
            shown = {True: "true", False: "false"}
            found = [row for row in found if shown.get(row.get(name), row.get(name)) == value]
        if after:
            found = found[[row["id"] for row in found].index(after) + 1 :]
        inner = [word.removeprefix("data.") for word in expand]
        page = [self._expanded(row, inner) for row in found[:limit]]
        return {
            "object": "list",
            "url": f"/v1/{path}",
            "data": page,
            "has_more": len(found) > limit,
        }

    def _expanded(self, row: Row, expand: list[str]) -> Row:
        shown = told(row)
        for word in expand:
            if isinstance(shown.get(word), str):
                shown[word] = told(self.rows[shown[word]])
        return shown

    def _create(self, path: str, sent: Row) -> Row:
        for word in sent:
            if word not in ALLOWED.get(path, set()):
                raise Refused(400, f"Received unknown parameter: {word}", param=word)
        kind = LISTS[path]
        if path == "prices":
            return self._create_price(sent)
        if path == "checkout/sessions":
            return self._create_session(sent)
        if path == "billing_portal/sessions":
            return self._create_portal(sent)
        if path == "refunds":
            amount = int(sent["amount"]) if "amount" in sent else None
            return self.refund(sent["payment_intent"], amount)
        if sent.get("id") in self.rows:
            raise Refused(400, f"{kind} already exists.", code="resource_already_exists")
        return self.make(kind, active=True, **{"metadata": {}, **sent})

    def _create_price(self, sent: Row) -> Row:
        self._need("product", sent.get("product"))
        key = sent.get("lookup_key")
        sent.pop("transfer_lookup_key", None)
        for row in self.of("price", lookup_key=key):
            row["lookup_key"] = None
        sent["unit_amount"] = int(sent["unit_amount"])
        every = {"type": "recurring" if "recurring" in sent else "one_time"}
        return self.make("price", active=True, **every, **{"metadata": {}, **sent})

    def _create_session(self, sent: Row) -> Row:
        self._need("customer", sent.get("customer"))
        price = self._need("price", sent["line_items"][0]["price"])
        if (price["type"] == "recurring") != (sent["mode"] == "subscription"):
            raise Refused(400, "You specified a price of another mode.")
        data = sent.get("subscription_data") or sent.get("payment_intent_data") or {}
        row = self.make(
            "checkout.session", customer=sent["customer"], mode=sent["mode"], status="open",
            payment_status="unpaid", payment_intent=None, subscription=None, url=None,
            success_url=sent["success_url"], cancel_url=sent["cancel_url"],
            metadata=sent.get("metadata", {}), _price=price["id"],
            _payment_metadata=data.get("metadata", {}),
        )  # fmt: skip
        row["success_url"] = row["success_url"].replace("{CHECKOUT_SESSION_ID}", row["id"])
        row["url"] = f"{self.address}/c/pay/{row['id']}"
        return row

    def _create_portal(self, sent: Row) -> Row:
        self._need("customer", sent.get("customer"))
        self._need("billing_portal.configuration", sent.get("configuration"))
        row = self.make("billing_portal.session", **{"flow_data": None, **sent})
        row["url"] = f"{self.address}/p/session/{row['id']}"
        return row

    def _need(self, kind: str, name: Any) -> Row:
        row = self.rows.get(str(name))
        if row is None or row["object"] != kind:
            raise Refused(400, f"No such {kind}: '{name}'", code="resource_missing", param=kind)
        return row

    # --- the postman ---------------------------------------------------------
    def signed(self, event: Row, *, at: int | None = None) -> tuple[bytes, str]:
        """Body and Stripe-Signature header: https://docs.stripe.com/webhooks#verify-manually"""
        body = json.dumps(told(event), indent=2).encode()
        moment = int(time.time()) if at is None else at
        mark = hmac.new(self.secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
        return body, f"t={moment},v1={mark.hexdigest()}"

    def deliver(self, event: Row, address: str) -> int:
        """The status that was answered; 0 if nobody did."""
        body, mark = self.signed(event)
        headers = {"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": mark}
        request = urllib.request.Request(address, body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def post_to(self, address: str, *, times: int = 1) -> None:
        """Every event from now on goes there, `times` times, again until it is taken."""

        def carry(event: Row) -> None:
            for _ in range(times):
                threading.Thread(target=self._carry, args=(event, address), daemon=True).start()

        self.heard.append(carry)

    def _carry(self, event: Row, address: str) -> None:
        for pause_s in (0.05, 1, 2, 4, 8):
            time.sleep(pause_s)
            if 200 <= self.deliver(event, address) < 300:
                return

    def jumbled(
        self, events: list[Row], *, times: int, drop: float = 0, seed: int = 0
    ) -> list[Row]:
        """What a bad day's postman carries: each several times, shuffled, some never."""
        chance = random.Random(seed)
        kept = [event for event in events if chance.random() >= drop]
        many = [event for event in kept for _ in range(times)]
        chance.shuffle(many)
        return many


# --- HTTP --------------------------------------------------------------------
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: two would wait 40 ms for each other
    simulator: Simulator

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        parts = urlsplit(self.path)
        sent = unfolded(parse_qsl(body or parts.query, keep_blank_values=True))
        if parts.path.startswith("/v1/"):
            self._api(parts.path, sent)
        else:
            self._page(parts.path, sent)

    do_GET = do_POST = do_DELETE = _serve  # http.server's names

    def _api(self, path: str, sent: Row) -> None:
        simulator = self.simulator
        try:
            if simulator.is_down:
                raise Refused(500, "Something went wrong on our end.", "api_error")
            if self.headers.get("Authorization") != f"Bearer {simulator.key}":
                raise Refused(401, "Invalid API Key provided.")
            once = self.headers.get("Idempotency-Key", "")
            status, answer = simulator.call(self.command, path, sent, once=once)
        except Refused as refused:
            status, answer = refused.status, {"error": refused.error}
        self._write(status, json.dumps(answer), "application/json")

    def _page(self, path: str, sent: Row) -> None:
        try:
            with self.simulator.lock:
                page = stripe_pages.page(self.simulator, self.command, path, sent)
        except (KeyError, Declined) as error:
            self._write(404, f"<h1>{error}</h1>", "text/html")
            return
        if page.startswith("http"):
            self._write(303, "", "text/html", Location=page)
        else:
            self._write(200, page, "text/html; charset=utf-8")

    def _write(self, status: int, text: str, kind: str, **headers: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Request-Id", f"req_{uuid.uuid4().hex[:14]}")
        if status >= 500:
            self.send_header("Stripe-Should-Retry", "false")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running(port: int = 0, **about: str) -> Iterator[Simulator]:
    """A simulator at its own address, until the block ends."""
    simulator = Simulator(**about)
    handler = type("Handler", (Handler,), {"simulator": simulator})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    simulator.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield simulator
    finally:
        server.shutdown()
        server.server_close()


def main(say: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=12111)
    parser.add_argument("--webhook", default="", help="where events are delivered")
    chosen = parser.parse_args()
    with running(chosen.port) as simulator:
        if chosen.webhook:
            simulator.post_to(chosen.webhook)
        say(f"A Stripe of its own is at {simulator.address}; key {KEY}, webhook secret {SECRET}")
        threading.Event().wait()


if __name__ == "__main__":
    main()
