"""The front door, for strangers and for people who come back."""

from __future__ import annotations

import re

from django.test import Client

from accounts.models import User
from billing.plans import PLANS
from tests import rows


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_strangers_find_both_ways_in_and_every_plan(client: Client, db: None) -> None:
    page = client.get("/").content.decode()
    assert "Click to upload image" in page and "AI influencer generator" in page
    words = text_of(page)
    for plan in PLANS.values():
        models = "model" if plan.portrait_models == 1 else "models"
        assert f"{plan.title} {plan.portrait_models} portrait {models}" in words


def test_the_caps_on_the_page_are_those_of_the_seed() -> None:
    caps = {plan.title: plan.portrait_models for plan in PLANS.values()}
    assert caps == {"Nano": 1, "Micro": 2, "Macro": 8, "Mega": 50}


def test_people_who_come_back_find_their_own_things_first(
    alice: User, bob: User, alice_client: Client
) -> None:
    rows.generation(rows.portrait_model(alice, "Ada"))
    rows.portrait_model(alice, "Untrained", is_ready=False)
    rows.portrait_model(bob, "Foreign")
    page = alice_client.get("/").content.decode()
    assert page.index("Ada") < page.index("One face.")
    assert "Untrained" not in page and "Foreign" not in page


def test_the_page_asks_the_database_a_fixed_number_of_times(
    alice: User, alice_client: Client, django_assert_max_num_queries: object
) -> None:
    for number in range(20):
        rows.generation(rows.portrait_model(alice, f"Model {number}"))
    with django_assert_max_num_queries(6):  # type: ignore[operator]
        alice_client.get("/")


def test_every_picture_of_the_front_page_exists(client: Client, db: None) -> None:
    page = client.get("/").content.decode()
    addresses = re.findall(r'src="(/static/[^"]+)"', page)
    assert len([address for address in addresses if "/home/" in address]) == 6
    for address in addresses:
        assert client.get(address).status_code == 200, address
