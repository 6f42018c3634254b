"""Limits of plans: the dialog that tells of one, the way back, and models beyond the plan."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from billing import ledger
from billing.models import Subscription
from billing.plans import PLANS
from billing.refusals import Refusal
from generator.assets.models import Asset
from generator.jobs import services as jobs
from generator.portraits import services, surplus
from generator.portraits.models import PortraitModel
from tests import rows
from tests.conftest import signed_in
from tests.job_parts import submit

pytestmark = pytest.mark.django_db
HTMX = {"headers": {"HX-Request": "true", "HX-Current-URL": "http://testserver/create/?model=x"}}


def create_form(owner: User, **values: str) -> dict[str, str]:
    reference = Asset.objects.create(
        owner=owner, kind="face", file="assets/x.png", width=512, height=512
    )
    return {
        "id": str(uuid.uuid4()), "name": "Ada", "description": "Calm", "is_public": "on",
        "reference": str(reference.id), **values,
    }  # fmt: skip


def move(user: User, plan: str) -> None:
    Subscription.objects.update_or_create(user=user, defaults={"plan": plan})


# --- the dialog --------------------------------------------------------------
def test_the_dialog_sells_only_where_payments_are_set_up(bob: User, settings: Settings) -> None:
    rows.portrait_model(bob)
    client = signed_in(bob)
    address, form = reverse("portrait_model_new"), create_form(bob)
    plain = client.post(address, form, **HTMX)
    assert plain.status_code == 403
    assert "The free Nano plan holds 1 model." in plain.text
    assert "See the plans" in plain.text and reverse("checkout_plan") not in plain.text
    settings.STRIPE_SECRET_KEY = "sk_test_here"
    selling = client.post(address, form, **HTMX)
    assert reverse("checkout_plan") in selling.text
    assert "$9 a month" in selling.text and "Compare plans" in selling.text


def test_the_dialog_speaks_by_plan_and_by_limit(alice: User, settings: Settings) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_here"
    for number in range(PLANS["macro"].portrait_models):
        rows.portrait_model(alice, f"No {number}")
    answer = signed_in(alice).post(reverse("portrait_model_new"), create_form(alice), **HTMX)
    assert "You have reached the 8 models of your Macro plan." in answer.text
    assert 'value="mega"' in answer.text and 'value="micro"' not in answer.text


def test_short_credits_offer_packages_and_say_when_more_come(bob: User, settings: Settings) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_here"
    with transaction.atomic():
        ledger.charge(ledger.locked(bob), 79, key="generation:1:charge", reason="pictures")
    model = rows.portrait_model(bob)
    form = {"model": str(model.id), "prompt": "at the beach", "count": "2"}
    answer = signed_in(bob).post(reverse("generation_create"), form, **HTMX)
    assert answer.status_code == 402
    assert reverse("checkout_package") in answer.text
    assert "This costs 8 credits and you have 1." in answer.text
    assert "next in" in answer.text


# --- the way back --------------------------------------------------------------
def test_the_form_comes_back_once_with_every_value(bob: User) -> None:
    rows.portrait_model(bob)
    client, form = signed_in(bob), create_form(bob, name="Ada Lovelace")
    client.post(reverse("portrait_model_new"), form, **HTMX)
    back = client.get(reverse("checkout_canceled"))["Location"]
    assert back == f"/models/new/?reference={form['reference']}&resume=1"
    page = client.get(back)
    assert page.context["draft"].name == "Ada Lovelace"
    assert page.context["draft"].id == form["id"]
    assert "data-resume-send" not in page.text  # nothing was bought
    assert client.get(back).context["draft"].name == ""


def test_a_link_from_elsewhere_sends_nothing(bob: User) -> None:
    """Only coming back from a payment page opens the form again."""
    rows.portrait_model(bob)
    client = signed_in(bob)
    client.post(reverse("portrait_model_new"), create_form(bob), **HTMX)
    page = client.get("/models/new/?resume=1")
    assert page.context["draft"].name == "" and "data-resume-send" not in page.text


def test_a_form_of_another_page_is_not_taken_for_ones_own(bob: User) -> None:
    rows.portrait_model(bob)
    client = signed_in(bob)
    client.post(reverse("portrait_model_new"), create_form(bob), **HTMX)
    client.get(reverse("checkout_canceled"))
    assert client.get("/influencer/?resume=1").status_code == 200
    assert client.get("/models/new/?resume=1").context["draft"].name == "Ada"


def test_the_composer_comes_back_with_its_prompt(bob: User) -> None:
    with transaction.atomic():
        ledger.charge(ledger.locked(bob), 80, key="generation:1:charge", reason="pictures")
    model = rows.portrait_model(bob)
    client = signed_in(bob)
    form = {"model": str(model.id), "prompt": "at the beach", "count": "3",
            "seed_mode": "fixed", "seed": "42"}  # fmt: skip
    client.post(reverse("generation_create"), form, **HTMX)
    back = client.get(reverse("checkout_canceled"))["Location"]
    assert back == f"/create/?model={model.id}&resume=1"
    values = client.get(back).context["values"]
    assert (values["prompt"], values["count"], values["seed"]) == ("at the beach", 3, "42")


@pytest.mark.parametrize(
    ("page", "back"),
    [
        ("http://testserver/models/?page=2", "/models/?page=2&resume=1"),
        ("http://evil.example/create/", "/billing/plans/"),
        ("//evil.example/", "/billing/plans/"),
        ("http://testserver//evil.example/", "/billing/plans/"),
        ("javascript:alert(1)", "/billing/plans/"),
        ("", "/billing/plans/"),
    ],
)
def test_the_way_back_never_leaves_the_studio(bob: User, page: str, back: str) -> None:
    model = rows.portrait_model(bob)
    with transaction.atomic():
        ledger.charge(ledger.locked(bob), 80, key="generation:1:charge", reason="pictures")
    client = signed_in(bob)
    headers = {"HX-Request": "true", "HX-Current-URL": page, "Referer": page}
    answer = client.post(reverse("portrait_model_train", args=[model.id]), headers=headers)
    assert answer.status_code == 402
    assert client.get(reverse("checkout_canceled"))["Location"] == back


# --- a full line --------------------------------------------------------------
def test_a_full_line_is_told_and_nothing_is_charged(bob: User) -> None:
    plan = PLANS["nano"]
    for _ in range(plan.concurrency + plan.waiting):
        submit(bob)
    before = ledger.balance(bob)
    with pytest.raises(Refusal, match="your line is full") as refused:
        submit(bob)
    assert (refused.value.code, refused.value.status) == ("concurrency", 409)
    assert ledger.balance(bob) == before
    move(bob, "micro")
    assert submit(bob).state == "queued"


# --- beyond the plan --------------------------------------------------------------
@pytest.fixture
def three(bob: User) -> list[PortraitModel]:
    """Made on a larger plan, the oldest first; Bob is on Nano now."""
    return [rows.portrait_model(bob, name, is_public=False) for name in ("Ada", "Mira", "Theo")]


def test_the_oldest_stay_in_use_and_nothing_is_deleted(
    bob: User, three: list[PortraitModel]
) -> None:
    assert [surplus.is_surplus(model) for model in three] == [False, True, True]
    move(bob, "micro")
    assert [surplus.is_surplus(_again(model)) for model in three] == [False, False, True]
    move(bob, "mega")
    assert not any(surplus.is_surplus(_again(model)) for model in three)
    assert PortraitModel.objects.filter(owner=bob).count() == 3


def _again(model: PortraitModel) -> PortraitModel:
    return PortraitModel.objects.get(pk=model.pk)


def change(model: PortraitModel) -> object:
    return services.update_portrait_model(model, name="Other")


def train(model: PortraitModel) -> object:
    return services.train_again(model, training_id=uuid.uuid4())


def draw(model: PortraitModel) -> object:
    return jobs.submit_generation(
        model.owner, id=uuid.uuid4(), kind="image", prompt="at the beach", portrait_model=model
    )


@pytest.mark.parametrize("use", [change, train, draw])
def test_a_surplus_model_is_read_only(
    bob: User, three: list[PortraitModel], use: Callable[[PortraitModel], Any]
) -> None:
    before = ledger.balance(bob)
    with pytest.raises(Refusal, match="read-only") as refused:
        use(three[2])
    assert (refused.value.code, refused.value.status) == ("model_read_only", 403)
    assert ledger.balance(bob) == before
    assert use(three[0])


def test_a_surplus_model_can_be_seen_and_deleted_and_makes_room(
    bob: User, three: list[PortraitModel]
) -> None:
    client = signed_in(bob)
    page = client.get(reverse("portrait_models"))
    assert "Your Nano plan holds 1 model, and you have 3." in page.text
    assert page.text.count("Read-only</span>") == 2
    assert client.get(reverse("portrait_model", args=[three[2].id])).status_code == 200
    services.delete_portrait_model(three[0])
    assert not surplus.is_surplus(_again(three[1]))


def test_what_is_private_stays_private_after_a_downgrade(
    bob: User, three: list[PortraitModel]
) -> None:
    assert not any(_again(model).is_public for model in three)
    services.update_portrait_model(three[0], is_public=False, name="Ada L")
    services.update_portrait_model(three[0], is_public=True)
    with pytest.raises(Refusal, match="models are public"):
        services.update_portrait_model(three[0], is_public=False)


def test_others_cannot_draw_with_a_public_surplus_model(alice: User, bob: User) -> None:
    rows.portrait_model(bob, "First")
    second = rows.portrait_model(bob, "Second")
    with pytest.raises(Refusal, match="is not in use at the moment"):
        jobs.submit_generation(
            alice, id=uuid.uuid4(), kind="image", prompt="at the beach", portrait_model=second
        )


def test_the_signed_out_see_plans(client: Client) -> None:
    page = client.get(reverse("plans"))
    assert page.status_code == 200
    assert "Payments are not set up on this installation." in page.text
