"""A client of the API of a Likeness studio, `/api/v1`."""

from likeness.clients import AsyncClient, Client
from likeness.errors import ApiError, JobFailed, WaitedTooLong
from likeness.models import Account, Asset, Estimate, Face, Job, Options, PortraitModel

__all__ = [
    "Account", "ApiError", "Asset", "AsyncClient", "Client", "Estimate", "Face", "Job",
    "JobFailed", "Options", "PortraitModel", "WaitedTooLong",
]  # fmt: skip
