"""How often pages ask the database: a fixed number of times, with one row and with 500."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from generator.assets.models import Asset
from generator.jobs.models import Generation, Training
from generator.portraits.models import PortraitModel
from tests import rows
from tests.api_parts import program

ROWS = pytest.mark.parametrize("count", [1, 500])
PAGE_MAX = 8
FRAGMENT_MAX = 4
POLLED_MAX = 3  # whose key it is, and what a program is told again and again


def crowd(owner: User, count: int) -> None:
    """`count` models of this person, each with an unfinished training and generation."""
    squares = Asset.objects.bulk_create(
        Asset(owner=owner, kind="reference", file=f"assets/{number}.jpg", width=512, height=512)
        for number in range(count)
    )
    models = PortraitModel.objects.bulk_create(
        PortraitModel(owner=owner, name="Ada", reference=square) for square in squares
    )
    job: dict[str, Any] = {"owner": owner, "state": "running", "engine": "miniature", "attempt": 1}
    job |= {"started_at": timezone.now(), "lease_until": timezone.now()}
    Training.objects.bulk_create(
        Training(portrait_model=model, charged=20, done=430, total=1000, **job) for model in models
    )
    Generation.objects.bulk_create(
        Generation(portrait_model=model, kind="image", count=4, charged=16, prompt="x", **job)
        for model in models
    )


@ROWS
def test_the_create_page_asks_at_most_eight_times(
    count: int, alice: User, alice_client: Client, django_assert_max_num_queries: Any
) -> None:
    crowd(alice, count)
    face = Asset.objects.create(owner=alice, kind="face", file="x.png", width=512, height=512)
    for address in ("/models/new/", f"/models/new/?reference={face.id}"):
        with django_assert_max_num_queries(PAGE_MAX):
            assert alice_client.get(address).status_code == 200


@ROWS
@pytest.mark.parametrize("state", ["queued", "running", "succeeded", "failed", "canceled"])
@pytest.mark.parametrize("noun", ["trainings", "generations"])
def test_a_status_fragment_asks_at_most_four_times(
    noun: str, state: str, count: int, alice: User, alice_client: Client,
    django_assert_max_num_queries: Any,
) -> None:  # fmt: skip
    crowd(alice, count)
    model = rows.portrait_model(alice)
    # Created as it could have become: a running row has a lease.
    make: Any = rows.training if noun == "trainings" else rows.generation
    job = make(model, state="queued" if state == "running" else state)
    if state == "running":
        lease = {"lease_until": timezone.now(), "attempt": 1, "started_at": timezone.now()}
        type(job).objects.filter(id=job.id).update(state=state, **lease)
    with django_assert_max_num_queries(FRAGMENT_MAX):
        assert alice_client.get(f"/{noun}/{job.id}/").status_code == 200


@ROWS
def test_what_a_program_polls_asks_at_most_three_times(
    count: int, alice: User, django_assert_max_num_queries: Any
) -> None:
    crowd(alice, count)
    ask = program(alice, base="")
    training = Training.objects.filter(owner=alice).latest("created_at")
    generation = Generation.objects.filter(owner=alice).latest("created_at")
    for path in (
        f"/api/v1/jobs/{training.pk}",
        f"/api/v1/jobs/{generation.pk}",
        f"/v1/phota/profiles/{training.portrait_model_id}/status",
    ):
        assert ask("get", path).status_code == 200  # the first one writes when the key was used
        with django_assert_max_num_queries(POLLED_MAX):
            assert ask("get", path).status_code == 200
