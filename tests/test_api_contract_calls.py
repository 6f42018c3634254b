"""Phota's callbacks and time limit, with a program's requests to a running studio of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import contract_parts as parts
from tests import servers
from tests.contract_parts import Account, opened, refused
from tests.receiver import Receiver, receiver, verified

pytestmark = [pytest.mark.live, pytest.mark.engine, pytest.mark.timeout(900)]
GARDEN = {"prompt": "a woman in a garden"}  # of nobody, so nothing is trained
LATER = {"async": True, "response_mode": "urls"}


@pytest.fixture(scope="module")
def program() -> Iterator[Receiver]:
    """The caller's own server, where callbacks arrive."""
    with receiver() as house:
        yield house


@pytest.fixture(scope="module")
def account(
    program: Receiver, engine_weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Account]:
    """At a studio that may call that server, and whose answers wait for almost nothing."""
    settings = {"FETCH_ALLOW": program.netloc, "API_WAIT_S": "0.05"}
    folder = tmp_path_factory.mktemp("studio")
    with servers.studio(folder, ENGINE_WEIGHTS=str(engine_weights), **settings) as house:
        yield parts.new_account(house)


ask = parts.asking("/v1/phota", "X-API-Key")


def ended(ask: httpx.Client, id: str) -> Any:
    """The job once it is over."""
    return parts.polled(
        lambda: ask.get(f"/jobs/{id}").raise_for_status().json(),
        lambda told: told["status"] not in ("queued", "running"),
        "the job",
    )


def test_an_answer_that_takes_too_long_is_504_and_costs_nothing(
    ask: httpx.Client, account: Account
) -> None:
    before = account.balance()
    body = {**GARDEN, "num_output_images": 4, "client_request_id": "order 7"}
    assert refused(ask.post("/generate", json=body), 504) == "TIMEOUT"
    assert account.balance() == before
    with account.client("/api/v1", "X-API-Key") as own:
        (job,) = own.get("/jobs").raise_for_status().json()["items"]
    assert job["state"] == "canceled"
    # asked for once more it is that same job, which cannot be charged again
    assert refused(ask.post("/generate", json=body), 409) == "CANCELED"
    assert account.balance() == before
    later = ask.post("/generate", json={**body, **LATER, "client_request_id": "order 8"})
    assert later.status_code == 202, later.text
    assert ended(ask, later.json()["job_id"])["status"] == "succeeded"
    assert account.balance() == before - account.cost(kind="face", count=4)


def test_a_callback_is_signed_and_sent_again_until_it_is_taken(
    ask: httpx.Client, program: Receiver
) -> None:
    program.status = 500
    asked = {**GARDEN, **LATER, "callback_url": program.address}
    handle = ask.post("/generate", json=asked)
    assert handle.status_code == 202, handle.text
    job = ended(ask, handle.json()["job_id"])
    servers.wait_for(lambda: len(program.messages) == 1, "the callback")
    program.status = 204
    servers.wait_for(lambda: len(program.messages) == 2, "the callback once more")
    secret = ask.get("/webhook-secret").raise_for_status().json()["secret"]
    first, second = program.messages
    assert first.body == second.body and first.path == second.path == "/hook"
    for message in (first, second):
        assert message.headers["Content-Type"] == "application/json"
        assert verified(message.headers["X-Phota-Signature"], message.body, secret)
        with pytest.raises(AssertionError, match="not of these bytes"):
            verified(message.headers["X-Phota-Signature"], message.body + b" ", secret)
    told = json.loads(second.body)
    assert set(told) == set(job) and told["job_id"] == job["job_id"]
    assert told["status"] == job["status"] == "succeeded" and told["error"] is None
    assert told["result"]["known_subjects"] == job["result"]["known_subjects"]
    assert opened(told["result"]["download_urls"][0]).format == "PNG"
