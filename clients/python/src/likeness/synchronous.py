"""The client that waits for every answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
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


class Client:
    """`address` is where the studio is, as in "https://studio.example"."""

    def __init__(
        self, address: str, key: str, *, timeout_s: float = 60.0, retries: int = 4
    ) -> None:
        self.retries = retries
        self._http = httpx.Client(
            base_url=f"{address.rstrip('/')}/api/v1",
            headers={"X-API-Key": key},
            timeout=timeout_s,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- the studio and what it costs ---------------------------------------------------------
    def account(self) -> Account:
        return self._ask(operations.account())

    def options(self) -> Options:
        return self._ask(operations.options())

    def estimate(
        self, kind: str, *, count: int = 1, seconds: float | None = None, quality: str = "standard"
    ) -> Estimate:
        call = operations.estimate(kind, count=count, seconds=seconds, quality=quality)
        return self._ask(call)

    # --- making: `key` is an Idempotency-Key, `is_trial` prices and makes nothing --------------
    def create_portrait_model(
        self, name: str, image: Picture, *, key: str = "", is_trial: bool = False, **more: Any
    ) -> PortraitModel:
        """From one photo. `more`: description, is_public, consent."""
        call = operations.create_portrait_model(name, image, key=key, is_trial=is_trial, **more)
        return self._ask(call)

    def faces(self, *, key: str = "", is_trial: bool = False, **form: Any) -> Job:
        """Invent somebody: gender, age, country …"""
        return self._make("/faces", [], key, is_trial, **form)

    def images(
        self, prompt: str, *people: Person, key: str = "", is_trial: bool = False, **more: Any
    ) -> Job:
        """`more`: count, seed, aspect_ratio, quality, style, pose, best_of, boxes …"""
        return self._make("/images", people, key, is_trial, prompt=prompt, **more)

    def videos(
        self, prompt: str, *people: Person, key: str = "", is_trial: bool = False, **more: Any
    ) -> Job:
        """`more`: seconds, image (to be set in motion), aspect_ratio …"""
        return self._make("/videos", people, key, is_trial, prompt=prompt, **more)

    def edits(
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
        return self._make("/edits", people, key, is_trial, **asked)

    def enhance(
        self, image: Picture, *people: Person, key: str = "", is_trial: bool = False, **more: Any
    ) -> Job:
        """Enlarge and restore. `more`: size_px."""
        return self._make("/enhancements", people, key, is_trial, image=image, **more)

    def _make(
        self, path: str, people: Sequence[Person], key: str, is_trial: bool, **asked: Any
    ) -> Job:
        call = operations.make(path, people, key=key, is_trial=is_trial, **asked)
        return self._ask(call)

    # --- jobs -----------------------------------------------------------------------------------
    def job(self, id: str) -> Job:
        return self._ask(operations.job(id))

    def cancel(self, job: str | Job) -> Job:
        return self._ask(operations.cancel(_id(job)))

    def jobs(self, *, state: str = "") -> Iterator[Job]:
        """Generations, the newest first."""
        return self._pages(lambda before: operations.jobs(state, before))

    def wait(
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
        for seen in self._progress(_id(job)):
            if seen != last and on_progress:
                on_progress(seen)
            last = seen
            if seen.is_over:
                return wire.ended(seen)
            if time.monotonic() > until:
                break
        raise WaitedTooLong(last)

    def _progress(self, id: str) -> Iterator[Job]:
        # Where a proxy holds streams back or cuts them, the job is asked for instead.
        with suppress(httpx.TransportError, ValueError):
            for seen in self._events(id):
                yield seen
                if seen.is_over:
                    return
        while True:
            yield self.job(id)
            time.sleep(wire.POLL_S)

    def _events(self, id: str) -> Iterator[Job]:
        events, quiet = wire.Events(), httpx.Timeout(wire.SILENCE_S)
        with self._http.stream("GET", f"/jobs/{id}/events", timeout=quiet) as answer:
            if answer.status_code != 200:
                return
            for line in answer.iter_lines():
                for seen in events.heard(line):
                    yield seen

    # --- pictures and people ----------------------------------------------------------------
    def upload(self, path: str | Path) -> Asset:
        return self._ask(operations.upload(path))

    def asset(self, id: str) -> Asset:
        return self._ask(operations.asset(id))

    def assets(self, *, kind: str = "") -> Iterator[Asset]:
        """The newest first."""
        return self._pages(lambda before: operations.assets(kind, before))

    def portrait_model(self, id: str) -> PortraitModel:
        return self._ask(operations.portrait_model(id))

    def portrait_models(self) -> Iterator[PortraitModel]:
        return self._pages(operations.portrait_models)

    def delete(self, what: Job | Asset | PortraitModel) -> None:
        """For good."""
        folders = {Job: "jobs", Asset: "assets", PortraitModel: "portrait-models"}
        self._ask(operations.delete(folders[type(what)], what.id))

    def download(self, asset: str | Asset, path: str | Path) -> Path:
        """Its bytes into a file that is there whole or not at all."""
        target = Path(path)
        part = target.with_name(f"{target.name}.part")
        with self._http.stream("GET", f"/assets/{_id(asset)}/content") as answer:
            if answer.is_error:
                answer.read()
                raise ApiError.of(answer)
            with part.open("wb") as file:
                for chunk in answer.iter_bytes():
                    file.write(chunk)
        return part.replace(target)

    # --- asking -----------------------------------------------------------------------------
    def _ask(self, call: Call[T]) -> T:
        """Again after a broken connection and where the studio asks for patience."""
        tries = self.retries if wire.can_repeat(call) else 0
        for attempt in range(tries + 1):
            answer = None
            try:
                answer = self._http.request(**wire.arguments(call))
            except httpx.TransportError:
                if attempt == tries:
                    raise
            if answer is not None and (answer.status_code not in wire.AGAIN or attempt == tries):
                return wire.result(call, answer)
            time.sleep(wire.pause_s(attempt, answer))
        raise AssertionError("the last attempt answers or raises")

    def _pages(self, ask: Callable[[str], Call[Page[T]]]) -> Iterator[T]:
        before: str | None = ""
        while before is not None:
            page = self._ask(ask(before))
            for one in page.items:
                yield one
            before = page.next


def _id(what: str | Job | Asset) -> str:
    return what if isinstance(what, str) else what.id
