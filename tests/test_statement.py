"""The statement: every line adds up to the balance that is shown, on the page and as a table."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from billing import allowance, audit, ledger
from billing.plans import cost
from billing.statement import PAGE, harmless, statement
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db


def spend(user: User, amount: int, job: str, reason: str = "A picture") -> None:
    with transaction.atomic():
        ledger.charge(ledger.locked(user), amount, key=f"{job}:charge", reason=reason)


def shown(text: str) -> tuple[int, int]:
    """The balance of the page, and the sum of its lines."""
    balance = re.search(r"data-balance>([\d,]+)<", text)
    assert balance
    nets = [int(net) for net in re.findall(r'data-net="(-?\d+)"', text)]
    return int(balance[1].replace(",", "")), sum(nets)


def test_a_newcomers_statement_adds_up_before_anything_is_posted(charlie: User) -> None:
    text = signed_in(charlie).get(reverse("usage")).text
    assert shown(text) == (80, 80)
    assert not charlie.credit_entries.exists()  # looking posts nothing


def test_the_lines_of_every_page_add_up_to_the_balance(bob: User) -> None:
    for number in range(30):
        spend(bob, 2, f"generation:{number}", f"No {number}.")
        if number % 3 == 0:
            ledger.refund(f"generation:{number}", amount=1, reason="One was missing")
    with transaction.atomic():
        for number in range(40):
            ledger.grant(ledger.locked(bob), 3, key=f"gift:{number}", reason="A gift")
    client = signed_in(bob)
    page = client.get(reverse("usage"))
    left, total = shown(page.text)
    assert left == total == ledger.balance(bob) == 80 - 60 + 10 + 120
    older = client.get(reverse("usage"), {"before": page.context["page"].older})
    assert shown(older.text)[1] == page.context["page"].brought_forward
    assert len(older.context["page"].lines) == 71 - PAGE


def test_each_line_carries_the_sum_of_itself_and_all_below(bob: User) -> None:
    spend(bob, 10, "generation:1")
    spend(bob, 20, "generation:2")
    ledger.refund("generation:1", reason="It failed.")  # later than the second charge
    lines = statement(allowance.standing(bob)).lines
    assert [(line.net, line.balance) for line in lines] == [(-20, 60), (0, 80), (80, 80)]


def test_a_refund_on_a_later_page_still_stands_beside_its_charge(bob: User) -> None:
    spend(bob, 10, "generation:old", "The old one")
    with transaction.atomic():
        for number in range(PAGE):
            ledger.grant(ledger.locked(bob), 1, key=f"gift:{number}", reason="A gift")
    ledger.refund("generation:old", reason="It failed.")
    page = statement(allowance.standing(bob))
    assert page.brought_forward == 80
    assert page.net + page.brought_forward == ledger.balance(bob)


def test_a_filter_shows_one_kind_and_its_own_sum(bob: User) -> None:
    spend(bob, 10, "generation:1", "A picture of Ada")
    client = signed_in(bob)
    spent = client.get(reverse("usage"), {"kind": "spent"})
    assert "A picture of Ada" in spent.text and shown(spent.text)[1] == -10
    plan = client.get(reverse("usage"), {"kind": "plan"})
    assert "A picture of Ada" not in plan.text and shown(plan.text)[1] == 80
    assert "There is nothing of this kind." in client.get(reverse("usage"), {"kind": "bought"}).text
    assert client.get(reverse("usage"), {"kind": "<script>"}).status_code == 200


def test_the_statement_asks_as_often_for_one_line_as_for_fifty(
    bob: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(60):
        spend(bob, 1, f"generation:{number}")
    with django_assert_max_num_queries(4):
        statement(allowance.standing(bob))


# --- as a table -------------------------------------------------------------------------------
def table(client: Client) -> list[dict[str, str]]:
    answer = client.get(reverse("statement_csv"))
    assert answer["Content-Type"].startswith("text/csv")
    assert "attachment" in answer["Content-Disposition"]
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_the_table_has_every_entry_and_adds_up(bob: User) -> None:
    spend(bob, 24, "generation:1", "Four pictures of Ada")
    ledger.refund("generation:1", amount=6, reason="One of four failed")
    rows = table(signed_in(bob))
    assert [row["Credits"] for row in rows] == ["80", "-24", "6"]
    assert sum(int(row["Credits"]) for row in rows) == int(rows[-1]["Balance"]) == 62
    assert rows[2]["Returns number"] == rows[1]["Number"]


@pytest.mark.parametrize(
    "words", ["=cmd()", "+1", "-1", "@SUM(A1)", "  =1+1", "\t=1", "\r=1", "＝1", "\n=1"]
)
def test_a_table_holds_no_formula(bob: User, words: str) -> None:
    spend(bob, 1, "generation:1", words)
    assert table(signed_in(bob))[-1]["What"].startswith("'")


def test_plain_words_stay_plain() -> None:
    assert harmless("4 pictures: at the beach") == "4 pictures: at the beach"
    assert harmless("") == ""


def test_a_person_gets_their_own_table_only(alice: User, bob: User, client: Client) -> None:
    spend(alice, 4, "generation:1", "Alice's picture")
    assert all("Alice" not in row["What"] for row in table(signed_in(bob)))
    assert client.get(reverse("statement_csv")).status_code == 302


# --- prices before spending ---------------------------------------------------------------------
def test_an_estimate_is_what_is_charged(bob_client: Client) -> None:
    sent = {"kind": "video", "seconds": "3.5", "quality": "fine"}
    answer = bob_client.post("/estimate", sent).json()
    price = cost("video", seconds=3.5, quality="fine")
    assert answer == {"credits": price, "balance": 80, "is_enough": True}
    asked = {"kind": "image", "count": 4}
    as_json = bob_client.post("/estimate/", json.dumps(asked), content_type="application/json")
    assert as_json.json()["credits"] == cost("image", 4)
    assert bob_client.get("/estimate").status_code == 405


def test_the_signed_out_may_ask_for_prices(client: Client) -> None:
    assert client.post("/estimate", {"kind": "training"}).json() == {"credits": cost("training")}


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        ("[1]", "bad_request", 400),
        ("{", "bad_request", 400),
        ("[" * 100_000, "bad_request", 400),
        ('{"kind": "song"}', "bad_kind", 422),
        ('{"kind": ["image"]}', "bad_kind", 422),
        ('{"kind": "image", "count": "four"}', "bad_count", 422),
        ('{"kind": "image", "count": true}', "bad_count", 422),
        ('{"kind": "image", "count": 1e400}', "bad_count", 422),
        ('{"kind": "image", "count": -1}', "bad_count", 422),
        ('{"kind": "video", "seconds": "NaN"}', "bad_seconds", 422),
        ('{"kind": "video", "seconds": 1e999}', "bad_seconds", 422),
        ('{"kind": "image", "quality": {"a": 1}}', "bad_quality", 422),
    ],
)
def test_an_estimate_of_nonsense_is_refused(
    client: Client, body: str, code: str, status: int
) -> None:
    answer = client.post("/estimate", body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


# --- the audit ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE billing_creditentry SET amount = amount + 1 WHERE kind = 'refund'",
        "UPDATE billing_creditentry SET balance = balance + 1 WHERE kind = 'charge'",
        "UPDATE billing_creditentry SET allowance_amount = 0 WHERE kind = 'charge'",
        "UPDATE billing_creditentry SET amount = 999, balance = 999 WHERE kind = 'refund'",
        "UPDATE billing_creditentry SET of_id = NULL, kind = 'reversal' WHERE kind = 'refund'",
        "UPDATE billing_subscription SET granted = 'grant:never'",
    ],
)
def test_the_audit_finds_what_was_written_past_the_ledger(bob: User, tampering: str) -> None:
    spend(bob, 24, "generation:1")
    ledger.refund("generation:1", amount=6, reason="One of four failed")
    assert [*audit.sums(), *audit.returns(), *audit.allowances()] == []
    with connection.cursor() as cursor:
        cursor.execute(tampering)
    assert [*audit.sums(), *audit.returns(), *audit.allowances()]


# --- what ends and what stays --------------------------------------------------------------------
def test_bought_credits_do_not_swallow_the_allowance(bob: User) -> None:
    with transaction.atomic():
        subscription = ledger.locked(bob)
        ledger.purchase(subscription, 500, key="stripe:pi_1:purchase", reason="500 credits")
        ledger.charge(subscription, 30, key="generation:1:charge", reason="pictures")
        entry = ledger.top_up(subscription, at=timezone.now() + timedelta(days=1))
    assert entry is not None
    assert (entry.amount, entry.balance, entry.allowance) == (30, 580, 80)


def test_a_charge_takes_the_allowance_first_and_a_refund_returns_the_rest_first(bob: User) -> None:
    with transaction.atomic():
        subscription = ledger.locked(bob)
        ledger.purchase(subscription, 100, key="stripe:pi_1:purchase", reason="100 credits")
        ledger.charge(subscription, 120, key="generation:1:charge", reason="pictures")
    assert allowance.standing(bob).head == (60, 0, 0)
    ledger.refund("generation:1", amount=50, reason="Some were missing")
    assert allowance.standing(bob).head == (110, 10, 0)


def test_free_credits_cannot_be_saved_by_canceling_tomorrow(bob: User) -> None:
    """What came back too late lasts to the end of that day."""
    spend(bob, 80, "generation:1")
    with transaction.atomic():
        subscription = ledger.locked(bob)
        tomorrow = timezone.now() + timedelta(days=1)
        ledger.top_up(subscription, at=tomorrow)
    ledger.refund("generation:1", reason="Canceled")
    assert bob.credit_entries.latest("id").balance == 160
    with transaction.atomic():
        entry = ledger.top_up(bob.subscription, at=tomorrow + timedelta(days=1))
    assert entry is not None
    assert (entry.kind, entry.amount, entry.balance) == ("expiry", -80, 80)


def test_money_that_goes_back_takes_its_credits_and_never_more_than_there_are(bob: User) -> None:
    with transaction.atomic():
        subscription = ledger.locked(bob)
        paid = ledger.purchase(subscription, 500, key="stripe:pi_1:purchase", reason="500 credits")
        ledger.charge(subscription, 400, key="generation:1:charge", reason="pictures")
        ledger.reverse(subscription, 500, of=paid, key="stripe:pi_1:1", reason="Disputed")
    assert allowance.standing(bob).head == (0, 0, 320)
    with transaction.atomic():
        ledger.purchase(ledger.locked(bob), 500, key="stripe:pi_2:purchase", reason="500 credits")
    assert allowance.standing(bob).head == (180, 0, 0)


def test_a_dispute_that_is_won_gives_back_what_it_took(bob: User) -> None:
    with transaction.atomic():
        subscription = ledger.locked(bob)
        paid = ledger.purchase(subscription, 500, key="stripe:pi_1:purchase", reason="500 credits")
        ledger.charge(subscription, 400, key="generation:1:charge", reason="pictures")
        ledger.reverse(subscription, 500, of=paid, key="stripe:pi_1:1", reason="Disputed")
        ledger.reverse(subscription, -500, of=paid, key="stripe:pi_1:2", reason="Won")
    assert (allowance.standing(bob).left, allowance.standing(bob).head.owed) == (180, 0)
