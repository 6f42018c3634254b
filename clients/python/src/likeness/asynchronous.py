"""The client whose every answer is awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx

from likeness import operations, wire
from likeness.errors import ApiError, WaitedTooLong
from likeness.models import Account, Asset, Estimate, Job, Options, PortraitModel
from likeness.operations import Call, Page, Person, Picture

T = TypeVar("T")


class AsyncClient:
    """`address` is where the studio is, as in "https://studio.example"."""

    def __init__(
        self, address: str, key: str, *, timeout_s: float = 60.0, retries: int = 4
    ) -> None:
        self.retries = retries
        self._http = httpx.AsyncClient(
            base_url=f"{address.rstrip('/')}/api/v1",
            headers={"X-API-Key": key},
            timeout=timeout_s,
        )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    # --- the studio and what it costs ---------------------------------------------------------
    async def account(self) -> Account:
        return await self._ask(operations.account())

    async def options(self) -> Options:
        return await self._ask(operations.options())

    async def estimate(
        self, kind: str, *, count: int = 1, seconds: float | None = None, quality: str = "standard"
    ) -> Estimate:
        call = operations.estimate(kind, count=count, seconds=seconds, quality=quality)
        return await self._ask(call)

    # --- making: `key` is an Idempotency-Key, `is_trial` prices and makes nothing --------------
    async def create_portrait_model(
        self, name: str, image: Picture, *, key: str = "", is_trial: bool = False, **more: Any
    ) -> PortraitModel:
        """From one photo. `more`: description, is_public, consent."""
        call = operations.create_portrait_model(name, image, key=key, is_trial=is_trial, **more)
        return await self._ask(call)

    async def faces(self, *, key: str = "", is_trial: bool = False, **form: Any) -> Job:
        """Invent somebody: gender, age, country …"""
        return await self._make("/faces", [], key, is_trial, **form)

    async def images(
        self, prompt: str, *people: Person, key: str = "", is_trial: bool = False, **more: Any
    ) -> Job:
        """`more`: count, seed, aspect_ratio, quality, style, pose, best_of, boxes …"""
        return await self._make("/images", people, key, is_trial, prompt=prompt, **more)

    async def videos(
        self, prompt: str, *people: Person, key: str = "", is_trial: bool = False, **more: Any
    ) -> Job:
        """`more`: seconds, image (to be set in motion), aspect_ratio …"""
        return await self._make("/videos", people, key, is_trial, prompt=prompt, **more)

    async def edits(
        self,
        image: Picture,
        prompt: str,
        *people: Person,
        key: str = "",
        is_trial: bool = False,
        **more: Any,
    ) -> Job:
        """Change a picture by words. `more`: mask, count, seed …"""
        asked = {"image": image, "prompt": prompt, **more}
        return await self._make("/edits", people, key, is_trial, **asked)

    async def enhance(
        self, image: Picture, *people: Person, key: str = "", is_trial: bool = False, **more: Any
    ) -> Job:
        """Enlarge and restore. `more`: size_px."""
        return await self._make("/enhancements", people, key, is_trial, image=image, **more)

    async def _make(
        self, path: str, people: Sequence[Person], key: str, is_trial: bool, **asked: Any
    ) -> Job:
        call = operations.make(path, people, key=key, is_trial=is_trial, **asked)
        return await self._ask(call)

    # --- jobs -----------------------------------------------------------------------------------
    async def job(self, id: str) -> Job:
        return await self._ask(operations.job(id))

    async def cancel(self, job: str | Job) -> Job:
        return await self._ask(operations.cancel(_id(job)))

    def jobs(self, *, state: str = "") -> AsyncIterator[Job]:
        """Generations, the newest first."""
        return self._pages(lambda before: operations.jobs(state, before))

    async def wait(
        self,
        job: str | Job,
        *,
        on_progress: Callable[[Job], object] | None = None,
        timeout_s: float | None = None,
    ) -> Job:
        """Until it succeeded. Raises JobFailed, WaitedTooLong, ApiError.

        Listens to the studio's events, and asks every other second where they do not come.
        """
        until = time.monotonic() + timeout_s if timeout_s is not None else float("inf")
        last: Job | None = None
        async for seen in self._progress(_id(job)):
            if seen != last and on_progress:
                on_progress(seen)
            last = seen
            if seen.is_over:
                return wire.ended(seen)
            if time.monotonic() > until:
                break
        raise WaitedTooLong(last)

    async def _progress(self, id: str) -> AsyncIterator[Job]:
        # Where a proxy holds streams back or cuts them, the job is asked for instead.
        with suppress(httpx.TransportError, ValueError):
            async for seen in self._events(id):
                yield seen
                if seen.is_over:
                    return
        while True:
            yield await self.job(id)
            await asyncio.sleep(wire.POLL_S)

    async def _events(self, id: str) -> AsyncIterator[Job]:
        events, quiet = wire.Events(), httpx.Timeout(wire.SILENCE_S)
        async with self._http.stream("GET", f"/jobs/{id}/events", timeout=quiet) as answer:
            if answer.status_code != 200:
                return
            async for line in answer.aiter_lines():
                for seen in events.heard(line):
                    yield seen

    # --- pictures and people ----------------------------------------------------------------
    async def upload(self, path: str | Path) -> Asset:
        return await self._ask(operations.upload(path))

    async def asset(self, id: str) -> Asset:
        return await self._ask(operations.asset(id))

    def assets(self, *, kind: str = "") -> AsyncIterator[Asset]:
        """The newest first."""
        return self._pages(lambda before: operations.assets(kind, before))

    async def portrait_model(self, id: str) -> PortraitModel:
        return await self._ask(operations.portrait_model(id))

    def portrait_models(self) -> AsyncIterator[PortraitModel]:
        return self._pages(operations.portrait_models)

    async def delete(self, what: Job | Asset | PortraitModel) -> None:
        """For good."""
        folders = {Job: "jobs", Asset: "assets", PortraitModel: "portrait-models"}
        await self._ask(operations.delete(folders[type(what)], what.id))

    async def download(self, asset: str | Asset, path: str | Path) -> Path:
        """Its bytes into a file that is there whole or not at all."""
        target = Path(path)
        part = target.with_name(f"{target.name}.part")
        async with self._http.stream("GET", f"/assets/{_id(asset)}/content") as answer:
            if answer.is_error:
                await answer.aread()
                raise ApiError.of(answer)
            with part.open("wb") as file:
                async for chunk in answer.aiter_bytes():
                    file.write(chunk)
        return part.replace(target)

    # --- asking -----------------------------------------------------------------------------
    async def _ask(self, call: Call[T]) -> T:
        """Again after a broken connection and where the studio asks for patience."""
        tries = self.retries if wire.can_repeat(call) else 0
        for attempt in range(tries + 1):
            answer = None
            try:
                answer = await self._http.request(**wire.arguments(call))
            except httpx.TransportError:
                if attempt == tries:
                    raise
            if answer is not None and (answer.status_code not in wire.AGAIN or attempt == tries):
                return wire.result(call, answer)
            await asyncio.sleep(wire.pause_s(attempt, answer))
        raise AssertionError("the last attempt answers or raises")

    async def _pages(self, ask: Callable[[str], Call[Page[T]]]) -> AsyncIterator[T]:
        before: str | None = ""
        while before is not None:
            page = await self._ask(ask(before))
            for one in page.items:
                yield one
            before = page.next


def _id(what: str | Job | Asset) -> str:
    return what if isinstance(what, str) else what.id
