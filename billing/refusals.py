"""What a person must be told when the studio says no.

Services raise a `Refusal`; pages, fragments and the API turn it into words in one place each.
"""

from __future__ import annotations


class Refusal(Exception):
    """`code` is stable and for programs, `message` is a sentence for people, `status` is HTTP.

    402: credits, 403: the plan, 404: not there, 409: the wrong moment, 422: a bad value.
    """

    def __init__(self, code: str, message: str, *, status: int = 422) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return self.message
