"""How the studio says no."""

from __future__ import annotations

import httpx

from likeness.models import Job


class ApiError(Exception):
    """`code` is stable, `message` is a sentence for people."""

    def __init__(self, status: int, code: str, message: str, request_id: str) -> None:
        super().__init__(f"{message} ({code}, {status})")
        self.status, self.code, self.message = status, code, message
        self.request_id = request_id

    @classmethod
    def of(cls, answer: httpx.Response) -> ApiError:
        """From an answer whose body has been read."""
        request_id = answer.headers.get("X-Request-Id", "")
        try:
            error = answer.json()["error"]
            return cls(answer.status_code, error["code"], error["message"], request_id)
        except (ValueError, KeyError, TypeError):  # a proxy spoke, not the studio
            words = f"The studio answered {answer.status_code}."
            return cls(answer.status_code, "unknown", words, request_id)


class JobFailed(Exception):
    """What was waited for ended without a result. Its credits came back."""

    def __init__(self, job: Job) -> None:
        super().__init__((job.error or {}).get("message") or f"The job is {job.state}.")
        self.job = job


class WaitedTooLong(Exception):
    """The job goes on; `job` is how it was seen last, if at all."""

    def __init__(self, job: Job | None) -> None:
        super().__init__("The job is not over yet.")
        self.job = job
