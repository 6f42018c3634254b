"""The socket shows rows as they are: to their owner, to nobody else, for as long as they may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.conf import settings
from django.test import Client

from accounts.models import User
from generator import consumers
from generator.engine.interface import EngineError
from generator.jobs import lifecycle, notify
from tests import job_parts
from tests.sockets import signed_in, socket, window

pytestmark = pytest.mark.django_db(transaction=True)


def _in_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return database_sync_to_async(function)(*args, **kwargs)


async def test_a_page_that_connects_gets_its_jobs_as_they_are(alice: User, bob: User) -> None:
    mine = await _in_thread(job_parts.submit, alice)
    over = await _in_thread(lambda: job_parts.finish(job_parts.submit(alice)))
    theirs = await _in_thread(job_parts.submit, bob)
    async with window(alice) as page:
        frame = await page.frame()
    assert f'id="generation-{mine.pk}"' in frame and f'id="generation-{over.pk}"' in frame
    assert 'hx-swap-oob="outerMorph"' in frame
    assert str(theirs.pk) not in frame


async def test_a_change_reaches_the_page(alice: User) -> None:
    job = await _in_thread(lambda: job_parts.claim(job_parts.submit(alice)))
    async with window(alice) as page:
        await page.frame()  # the snapshot
        await _in_thread(lifecycle.progress, job, done=420, phase="draw")
        frame = await page.until(lambda frame: "42" in frame)
    assert f'id="generation-{job.pk}"' in frame


async def test_the_last_frame_is_the_end_with_its_reason_and_the_credits(alice: User) -> None:
    job = await _in_thread(lambda: job_parts.claim(job_parts.submit(alice)))
    error = EngineError("no_face", "There is no face in it.")
    async with window(alice) as page:
        await page.frame()
        await _in_thread(lifecycle.after_engine_error, job, error)
        frame = await page.until(lambda frame: "There is no face in it." in frame)
    assert 'hx-swap-oob="beforeend:#notices"' in frame and "credits were returned" in frame
    assert 'id="balance"' in frame


async def test_a_model_that_has_learnt_shows_on_the_page_as_ready(alice: User) -> None:
    model = await _in_thread(job_parts.portrait_model, alice)
    training = await _in_thread(lambda: job_parts.claim(job_parts.train(model)))
    async with window(alice) as page:
        await page.frame()
        await _in_thread(lifecycle.finish_training, training, job_parts.adapter())
        frame = await page.until(lambda frame: "is ready" in frame)
    assert f'id="training-{training.pk}"' in frame
    assert f'id="portrait-model-{model.pk}"' in frame


async def test_what_ended_between_two_pages_is_told_on_the_next_one_and_only_once(
    alice: User,
) -> None:
    model = await _in_thread(job_parts.portrait_model, alice)
    training = await _in_thread(lambda: job_parts.claim(job_parts.train(model)))
    async with window(alice) as page:
        await page.frame()
    await _in_thread(lifecycle.finish_training, training, job_parts.adapter())
    async with window(alice) as page:
        assert "is ready." in await page.frame()
    async with window(alice) as page:
        assert "is ready." not in await page.frame()


@pytest.mark.parametrize("was_told", [True, False])
async def test_what_ended_while_the_last_page_was_closing_is_told_on_the_next_one(
    alice: User, monkeypatch: pytest.MonkeyPatch, was_told: bool
) -> None:
    monkeypatch.setattr(consumers, "MOMENT_S", 60.0)  # a slow machine's moment
    model = await _in_thread(job_parts.portrait_model, alice)
    training = await _in_thread(lambda: job_parts.claim(job_parts.train(model)))
    async with window(alice) as closing:  # the server has not heard yet that it is gone
        await closing.frame()
        await _in_thread(lifecycle.finish_training, training, job_parts.adapter())
        await closing.until(lambda frame: "is ready." in frame)
        if not was_told:  # by the process of this page
            consumers.told_at.clear()
        async with window(alice) as page:
            assert "is ready." in await page.frame()


async def test_nobody_sees_anything_of_somebody_else(alice: User, bob: User) -> None:
    async with window(bob) as page:
        await page.frame()
        theirs = await _in_thread(lambda: job_parts.claim(job_parts.submit(alice)))
        await _in_thread(lifecycle.progress, theirs, done=500, phase="draw")
        own = await _in_thread(job_parts.submit, bob)
        frame = await page.until(lambda frame: str(own.pk) in frame)
        assert str(theirs.pk) not in frame


async def test_a_forged_message_shows_nothing_foreign(alice: User, bob: User) -> None:
    theirs = await _in_thread(job_parts.submit, alice)
    page = consumers.StudioConsumer()
    page.user, page.is_over = bob, {}
    assert await _in_thread(page.draw, [("generation", str(theirs.pk))]) == ""


async def test_the_signed_out_are_closed_with_a_code_that_is_not_retried(db: None) -> None:
    async with socket(None) as page:
        code = await page.close_code()
    assert code == consumers.SIGNED_OUT


async def test_signing_out_closes_the_socket(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "RECHECK_S", 0.05)
    session = await _in_thread(signed_in, alice)
    async with socket(session) as page:
        await page.frame()
        await _in_thread(_end_session, session)
        code = await page.close_code()
    assert code == consumers.SIGNED_OUT


def _end_session(key: str) -> None:
    client = Client()
    client.cookies[settings.SESSION_COOKIE_NAME] = key
    client.logout()


async def test_a_changed_password_closes_the_other_sockets(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "RECHECK_S", 0.05)
    async with window(alice) as page:
        await page.frame()
        await _in_thread(_change_password, alice)
        code = await page.close_code()
    assert code == consumers.SIGNED_OUT


def _change_password(user: User) -> None:
    user.set_password("another long password")
    user.save()


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (["x" * (consumers.FRAME_MAX + 1)], consumers.TOO_BIG),
        (["é" * consumers.FRAME_MAX], consumers.TOO_BIG),
        (["{}"] * (2 * consumers.FRAMES_PER_SECOND + 1), consumers.TOO_FAST),
    ],
)
async def test_a_browser_that_talks_too_much_is_closed(
    alice: User, frames: list[str], code: int
) -> None:
    async with window(alice) as page:
        await page.frame()
        for frame in frames:
            await page.say(frame)
        closed = await page.close_code()
    assert closed == code


async def test_a_person_with_too_many_windows_gets_no_more(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "SOCKETS_MAX", 1)
    async with window(alice) as first:
        await first.frame()
        async with window(alice) as second:
            assert await second.close_code() == consumers.TOO_MANY
    async with window(alice) as third:  # one was closed
        await third.frame()


async def test_many_changes_of_a_moment_are_one_fragment(alice: User) -> None:
    """What waits for a slow reader is bounded by the jobs, not by the changes."""
    page = consumers.StudioConsumer()
    page.waiting, page.something = {}, asyncio.Event()
    for _ in range(1000):
        await page.job_changed(notify.message("generation", "one"))
    assert list(page.waiting) == [("generation", "one")]
