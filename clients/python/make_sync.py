"""Writes the client that waits from the one that is awaited: `python make_sync.py`."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "src" / "likeness"
WORDS = {
    "The client whose every answer is awaited.": "The client that waits for every answer.",
    "import asyncio\n": "",
    "await asyncio.sleep": "time.sleep",
    "AsyncIterator, Callable, Sequence": "Callable, Iterator, Sequence",
    "AsyncIterator": "Iterator",
    "AsyncClient": "Client",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "aclose": "close",
    "aread": "read",
    "aiter_": "iter_",
    "async ": "",
    "await ": "",
}


def synchronous(text: str) -> str:
    for awaited, waiting in WORDS.items():
        text = text.replace(awaited, waiting)
    return text


def main() -> None:
    text = (FOLDER / "asynchronous.py").read_text()
    (FOLDER / "synchronous.py").write_text(synchronous(text))


if __name__ == "__main__":
    main()
