"""What both clients do with requests and answers, without asking anything themselves."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import httpx

from likeness.errors import ApiError, JobFailed
from likeness.models import Job
from likeness.operations import Call, T

AGAIN = (429, 502, 503, 504)
WAIT_MAX_S = 60.0
SILENCE_S = 40.0  # a stream that says nothing for so long is dead; it speaks every 15 s
POLL_S = 2.0


def arguments(call: Call[T]) -> dict[str, Any]:
    """For httpx's `request`."""
    sent: dict[str, Any] = {"params": call.params or None, "headers": call.headers}
    if call.file:
        sent["files"] = {"file": call.file}
    elif call.json is not None:
        sent["json"] = call.json
    return {"method": call.method, "url": call.path, **sent}


def can_repeat(call: Call[T]) -> bool:
    """Whether sending it twice is doing it once."""
    return call.method != "POST" or "Idempotency-Key" in call.headers


def pause_s(attempt: int, answer: httpx.Response | None) -> float:
    """Seconds before the next attempt: what the studio says, or longer each time."""
    said = answer.headers.get("Retry-After", "") if answer is not None else ""
    if said.isdigit():
        return min(float(said), WAIT_MAX_S)
    return float(min(0.5 * 2**attempt * random.uniform(0.8, 1.2), WAIT_MAX_S))


def result(call: Call[T], answer: httpx.Response) -> T:
    """Raises ApiError."""
    if answer.is_error:
        raise ApiError.of(answer)
    return call.read(None if answer.status_code == 204 else answer.json())


def ended(job: Job) -> Job:
    """Raises JobFailed."""
    if job.state != "succeeded":
        raise JobFailed(job)
    return job


class Events:
    """A stream's lines in, jobs out."""

    def __init__(self) -> None:
        self._data: list[str] = []

    def heard(self, line: str) -> Iterator[Job]:
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        elif not line and self._data:
            text, self._data = "\n".join(self._data), []
            yield Job.read(json.loads(text))
