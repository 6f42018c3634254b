"""The clients: the same methods, one that waits and one to be awaited."""

from likeness.asynchronous import AsyncClient
from likeness.synchronous import Client

__all__ = ["AsyncClient", "Client"]
