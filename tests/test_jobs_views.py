"""A job's fragment and buttons: its owner's, and for everybody else not there."""

from __future__ import annotations

import uuid

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from generator.jobs import lifecycle
from generator.jobs.models import Generation, Training
from tests import job_parts
from tests.job_parts import claim, row, submit

pytestmark = pytest.mark.django_db

LOOKS = ["generation", "generation_preview", "training", "training_preview"]
ACTS = ["generation_cancel", "training_cancel"]


@pytest.fixture
def jobs(alice: User) -> dict[str, Generation | Training]:
    """Alice's running jobs, with something to look at."""
    training = claim(job_parts.train(job_parts.portrait_model(alice)))
    generation = claim(submit(alice))
    for job in (training, generation):
        lifecycle.progress(job, done=250, phase="draw", previews={0: b"\xff\xd8\xff"})
    return {"training": training, "generation": generation}


def _url(name: str, jobs: dict[str, Generation | Training]) -> str:
    return reverse(name, args=[jobs[name.partition("_")[0]].pk])


@pytest.mark.parametrize("name", [*LOOKS, *ACTS])
def test_the_owner_may(
    name: str, jobs: dict[str, Generation | Training], alice_client: Client
) -> None:
    ask = alice_client.post if name in ACTS else alice_client.get
    assert ask(_url(name, jobs), headers={"HX-Request": "true"}).status_code == 200


@pytest.mark.parametrize("name", [*LOOKS, *ACTS])
def test_everybody_else_meets_the_404_of_what_never_was(
    name: str, jobs: dict[str, Generation | Training], charlie_client: Client
) -> None:
    ask = charlie_client.post if name in ACTS else charlie_client.get
    htmx = {"HX-Request": "true"}  # a whole page also carries a new CSRF token every time
    foreign = ask(_url(name, jobs), headers=htmx)
    unknown = ask(reverse(name, args=[uuid.uuid4()]), headers=htmx)
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.content == unknown.content
    assert not any(row(job).cancel_requested for job in jobs.values())


@pytest.mark.parametrize("name", [*LOOKS, *ACTS])
def test_the_signed_out_are_asked_to_sign_in(
    name: str, jobs: dict[str, Generation | Training], client: Client
) -> None:
    ask = client.post if name in ACTS else client.get
    assert ask(_url(name, jobs)).status_code == 302
    assert ask(_url(name, jobs), headers={"HX-Request": "true"}).status_code == 401


@pytest.mark.parametrize("name", ACTS)
def test_looking_never_changes_anything(
    name: str, jobs: dict[str, Generation | Training], alice_client: Client
) -> None:
    assert alice_client.get(_url(name, jobs)).status_code == 405


def test_the_fragment_is_one_element_that_asks_again_until_the_job_is_over(
    jobs: dict[str, Generation | Training], alice_client: Client
) -> None:
    job, url = jobs["generation"], _url("generation", jobs)
    running = alice_client.get(url).content.decode()
    assert f'id="generation-{job.pk}"' in running and f'hx-get="{url}"' in running
    lifecycle.finish_generation(job, job_parts.images(1))  # type: ignore[arg-type]
    over = alice_client.get(url).content.decode()
    assert f'id="generation-{job.pk}"' in over and f'hx-get="{url}"' not in over


def test_canceling_answers_with_the_row_as_it_is_now(alice: User, alice_client: Client) -> None:
    waiting = submit(alice)
    address = reverse("generation_cancel", args=[waiting.pk])
    answer = alice_client.post(address, headers={"HX-Request": "true"})
    assert "Canceled" in answer.content.decode()


@pytest.mark.parametrize(("kind", "page"), [("face", "/influencer/"), ("image", "/create/")])
def test_canceling_without_scripts_leads_back_to_the_page(
    kind: str, page: str, alice: User, alice_client: Client
) -> None:
    model = None if kind == "face" else job_parts.ready_model(alice)
    waiting = submit(alice, kind=kind, portrait_model=model)
    answer = alice_client.post(reverse("generation_cancel", args=[waiting.pk]))
    assert (answer.status_code, answer["Location"]) == (302, page)
    assert row(waiting).state == "canceled"


def test_a_preview_is_a_private_jpeg_or_nothing(
    alice: User, jobs: dict[str, Generation | Training], alice_client: Client
) -> None:
    answer = alice_client.get(_url("generation_preview", jobs))
    assert answer["Content-Type"] == "image/jpeg" and answer.content == b"\xff\xd8\xff"
    assert answer["Cache-Control"] == "private, no-store"
    empty = submit(alice)
    assert alice_client.get(reverse("generation_preview", args=[empty.pk])).status_code == 204
