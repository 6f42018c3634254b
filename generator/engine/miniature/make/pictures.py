"""Paint the data set: people from fixed seeds, several pictures of each. Resumable by chunk."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from generator.engine.miniature.captions import LABELS, caption, scene_caption
from generator.engine.miniature.make.recipe import Folder
from generator.engine.miniature.painter import Person, Shot, paint
from generator.engine.miniature.painter.shot import POSE_TURNS, TURN

CHUNK = 64  # people painted between two signs of life; what a crash can cost
LARGE_PX, SMALL_PX = 256, 128
HELD_OUT = 50  # every 50th person is never trained on
CAPTIONS = 4  # full captions per picture, each with other words and other gaps


@dataclass(frozen=True)
class PictureSet:
    """People `first` to `first + people`, `shots` pictures each."""

    name: str
    first: int
    people: int
    shots: int
    large: int  # how many of the first pictures are also kept at 256 px

    @property
    def pictures(self) -> int:
        """How many pictures the set holds."""
        return self.people * self.shots


PEOPLE = PictureSet("people", first=0, people=24_000, shots=4, large=16_000)
# The reader judges the base model, so the two never share a person.
READER = PictureSet("reader", first=1_000_000, people=4_000, shots=4, large=0)


def person_of(index: int) -> Person:
    """The person with this number, the same in every making."""
    return Person.random(random.Random(f"person {index}"))


def shot_of(index: int, number: int) -> Shot:
    """One of the pictures of that person."""
    return steady(Shot.random(random.Random(f"shot {index}/{number}")))


def steady(shot: Shot) -> Shot:
    """The same framed exactly: no word says how a picture is shifted, so a denoiser that has
    to guess it draws the mean of all shifts. Of 128 px, jitter moves an iris by a third."""
    return replace(shot, yaw=TURN * POSE_TURNS[shot.pose], shift_x=0.0, shift_y=0.0)


def small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """256 px to 128 px by averaging squares of four: (256, 256, 3) to (128, 128, 3)."""
    blocks = picture.reshape(SMALL_PX, 2, SMALL_PX, 2, 3).astype(np.float32)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)


class Store:
    """The arrays of one picture set on disk, opened without reading them."""

    def __init__(self, folder: Folder, spec: PictureSet) -> None:
        self.spec = spec
        self.root = folder.path(f"data/{spec.name}/x").parent

    def create(self) -> None:
        """Reserve the arrays once; what is there stays."""
        width = len(person_of(self.spec.first).vector())
        shapes: dict[str, tuple[tuple[int, ...], type]] = {
            "small": ((self.spec.pictures, SMALL_PX, SMALL_PX, 3), np.uint8),
            "labels": ((self.spec.pictures, len(LABELS)), np.float32),
            "vectors": ((self.spec.people, width), np.float32),
        }
        if self.spec.large:
            shapes["large"] = ((self.spec.large, LARGE_PX, LARGE_PX, 3), np.uint8)
        for name, (shape, dtype) in shapes.items():
            path = self.root / f"{name}.npy"
            if not path.exists():
                np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)

    def open(self, name: str, mode: str = "r") -> NDArray[np.generic]:
        """One array as a memory map."""
        array: NDArray[np.generic] = np.load(self.root / f"{name}.npy", mmap_mode=mode)  # type: ignore[arg-type]
        return array

    def reserve(self, name: str, shape: tuple[int, ...], dtype: type) -> NDArray[np.generic]:
        """A derived array to be filled where it lies on disk."""
        array: NDArray[np.generic] = np.lib.format.open_memmap(
            self.root / f"{name}.npy", mode="w+", dtype=dtype, shape=shape
        )
        return array

    def save(self, name: str, array: NDArray[np.generic]) -> None:
        """Write a derived array in one move."""
        fresh = self.root / f"{name}.new.npy"
        np.save(fresh, array)
        fresh.replace(self.root / f"{name}.npy")

    def chunks(self) -> list[int]:
        """First person (counted within the set) of every chunk."""
        return list(range(0, self.spec.people, CHUNK))

    def words(self, chunk: int) -> Path:
        """The captions of a chunk. Written last: where it exists, the chunk is complete."""
        return self.root / f"captions-{chunk:06d}.json"

    def captions(self) -> tuple[list[list[str]], list[str]]:
        """Full captions (N, CAPTIONS) and scene captions (N,) in the order of the pictures."""
        full: list[list[str]] = []
        scene: list[str] = []
        for chunk in self.chunks():
            words = json.loads(self.words(chunk).read_text())
            full += words["full"]
            scene += words["scene"]
        return full, scene


def label_row(person: Person, shot: Shot) -> list[float]:
    """Labels in the order of LABELS, nan where the painter names none."""
    named = {**person.labels(), **shot.labels()}
    return [float(named.get(name, np.nan)) for name in LABELS]


def paint_chunk(store: Store, chunk: int) -> None:
    """Paint and describe the people of one chunk."""
    arrays = {name: store.open(name, "r+") for name in ("small", "labels", "vectors")}
    large = store.open("large", "r+") if store.spec.large else None
    words: dict[str, list[object]] = {"full": [], "scene": []}
    for offset in range(chunk, min(chunk + CHUNK, store.spec.people)):
        index = store.spec.first + offset
        person = person_of(index)
        arrays["vectors"][offset] = person.vector()
        for number in range(store.spec.shots):
            shot, row = shot_of(index, number), offset * store.spec.shots + number
            rng = random.Random(f"words {index}/{number}")
            picture = paint(person, shot, LARGE_PX)
            arrays["small"][row] = small(picture)
            arrays["labels"][row] = label_row(person, shot)
            if large is not None and row < store.spec.large:
                large[row] = picture
            words["full"].append([caption(person, shot, rng) for _ in range(CAPTIONS)])
            words["scene"].append(scene_caption(shot, rng))
    fresh = store.words(chunk).with_suffix(".new")
    fresh.write_text(json.dumps(words))
    fresh.replace(store.words(chunk))


def work_off(root: Path, spec: PictureSet, part: int, parts: int) -> None:
    """Paint every chunk of this part that is not there yet."""
    store = Store(Folder(root), spec)
    for chunk in store.chunks()[part::parts]:
        if not store.words(chunk).exists():
            paint_chunk(store, chunk)


def paint_set(folder: Folder, spec: PictureSet) -> None:
    """Paint a set with one process per core."""
    Store(folder, spec).create()
    parts = os.cpu_count() or 1
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=work_off, args=(folder.root, spec, part, parts))
        for part in range(parts)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise RuntimeError(f"A painter of set {spec.name} stopped; run the stage again.")
