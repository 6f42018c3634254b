"""What each kind of request asks of a family: words, references, sizes.

Every method prepares what a request's pictures share and returns what makes one of them from a
seed, as `artist` does for the embedded engine. Nothing here knows files or processes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from generator.engine import borrowing, framing, look, pictures
from generator.engine.artist import Make
from generator.engine.interface import (
    Description,
    EngineError,
    GenerateRequest,
    OnStep,
    Step,
)
from generator.engine.production import tiles, words
from generator.engine.production.families import Asked
from generator.engine.production.likeness import Face, Faces, Known, assigned
from generator.engine.production.person import Person
from generator.engine.production.regions import Box, side_by_side
from generator.engine.production.serving import Server
from generator.engine.wording import REFERENCE, clean

EDITED_MEGAPIXELS = 2.25  # more than that is drawn smaller and enlarged again
ENHANCE_STRENGTH = 0.3  # where pictures are changed by noise: a face begins to change at 0.4
VARY_STRENGTH = 0.8
REPAIR_MARGIN = 0.6  # around a face, of its size: hair and chin belong to a person
REPAIR_STRENGTH = 0.75


@dataclass(frozen=True)
class Cast:
    """Who is to be seen, with what is known of their faces."""

    people: tuple[Person, ...]
    known: tuple[Known | None, ...]


class Drawing:
    """One request after the other, with one warm server."""

    def __init__(self, server: Server, engine: Description, faces: Faces | None) -> None:
        self.server = server
        self.engine = engine
        self.faces = faces
        self.reference_px = 512

    # ── new pictures ───────────────────────────────────────────────────────────

    def new(self, request: GenerateRequest, cast: Cast, steps: int, guidance: float) -> Make:
        """A face or a picture, of nobody, one or several people."""
        references, counts = self.references(cast, spare=_extras(request))
        prompt = words.named(request.prompt, self._called(counts, 1))
        given = [each for each in (request.style_image, request.pose_image) if each]
        if given and not self.is_instructed:
            raise EngineError("bad_request", f"{self.engine.title} looks at no other pictures.")
        numbers = iter(range(len(references) + 1, len(references) + 3))
        style = next(numbers) if request.style_image else None
        pose = next(numbers) if request.pose_image else None
        width, height = self.size(request, len(cast.people))
        asked = Asked(
            prompt=words.with_extras(prompt, style=style, pose=pose),
            seed=0,
            width=width,
            height=height,
            steps=steps,
            guidance=guidance,
            negative_prompt=clean(request.negative_prompt),
            references=(*references, *(self._sent(pictures.read(data)) for data in given)),
        )
        if len(cast.people) > 1:
            owners: list[int | None] = [row for row, n in enumerate(counts) for _ in range(n)]
            return self._group(asked, cast, request.regions, owners + [None] * len(given))
        return self._made(asked, cast.people[0] if cast.people else None)

    def _made(self, asked: Asked, person: Person | None) -> Make:
        def make(seed: int, index: int, on_step: OnStep | None) -> Image.Image:
            tell = telling(on_step, index)
            return self.server.alone(replace(asked, seed=seed), person, tell)

        return make

    def _group(
        self, asked: Asked, cast: Cast, boxes: Sequence[Box], owners: Sequence[int | None]
    ) -> Make:
        """All by their references at once, then each face by its own reference and adapter.

        Adapters are worn together, each in its place, where boxes were drawn, and where no face
        can be found to be repaired.
        """
        layout = None
        if boxes or (not self.faces and any(person.lora for person in cast.people)):
            places = boxes or side_by_side(len(cast.people))
            layout = self.server.family.layout(asked, places, owners)

        def make(seed: int, index: int, on_step: OnStep | None) -> Image.Image:
            one, told = replace(asked, seed=seed), telling(on_step, index, share=0.5)
            if layout:
                drawn = self.server.together(one, cast.people, layout, told)
            else:
                drawn = self.server.alone(one, None, told)
            return self._repaired(drawn, asked, cast, seed, telling(on_step, index, start=0.5))

        return make

    def _repaired(
        self, drawn: Image.Image, asked: Asked, cast: Cast, seed: int, tell: Told
    ) -> Image.Image:
        """Only where faces can be told apart: else nobody knows whose they are."""
        faces = self.faces.find(drawn) if self.faces else []
        vectors = [self.faces.embed(drawn, face) for face in faces] if self.faces else []
        table = [[one.likeness(v) if one else 0 for v in vectors] for one in cast.known]
        places = assigned(table, len(faces))
        for number, (person, place) in enumerate(zip(cast.people, places, strict=True)):
            if place is not None:
                part = tell.part(number, len(cast.people))
                drawn = self._repaint(drawn, faces[place], person, asked, seed, part)
        return drawn

    def _repaint(
        self, drawn: Image.Image, face: Face, person: Person, asked: Asked, seed: int, tell: Told
    ) -> Image.Image:
        box, mask = around(drawn, face)
        cut = drawn.crop(box)
        side = max(self.server.family.multiple_px * 4, self.engine.size_px // 2)
        shown = tuple(self._sent(self._face(each)) for each in person.pictures[:1])
        (name,) = self._called([len(shown)], self.server.family.first_reference)
        one = replace(
            asked,
            prompt=f"a photo of {name}",
            seed=seed,
            width=side,
            height=side,
            image=cut.resize((side, side), Image.Resampling.LANCZOS),
            mask=mask.crop(box).resize((side, side)),
            references=shown,
            strength=REPAIR_STRENGTH,
        )
        made = self.server.alone(one, person, tell).resize(cut.size, Image.Resampling.LANCZOS)
        repaired = drawn.copy()
        repaired.paste(made, box[:2], mask.crop(box))
        return repaired

    # ── from a picture ─────────────────────────────────────────────────────────

    def changed(self, request: GenerateRequest, cast: Cast, steps: int, guidance: float) -> Make:
        """ "edit", "restyle" and "vary": words about image 1, people from image 2 on."""
        given = read(request)
        style = request.style_image
        if request.kind == "restyle" and style is None:
            raise EngineError("bad_request", "Choose a picture whose style is wanted.")
        references, counts = self.references(cast, spare=1 + (style is not None))
        if style is not None and not self.is_instructed:
            raise EngineError("bad_request", f"{self.engine.title} looks at no other pictures.")
        is_masked = request.mask_image is not None
        number = len(references) + 2
        said = request.prompt if style is None else borrowing.repointed(request.prompt, number)
        first = self.server.family.first_reference if is_masked else 2
        prompt = words.named(said, self._called(counts, first))
        if style is not None:
            references = [*references, self._sent(pictures.read(style))]
        if self.is_instructed:
            prompt = _instruction(request.kind, prompt, number)
        width, height = self.fitted(given.size)
        strength = request.strength
        if strength is None and not self.is_instructed and request.kind == "vary":
            strength = VARY_STRENGTH
        asked = Asked(
            prompt=prompt,
            seed=0,
            width=width,
            height=height,
            steps=steps,
            guidance=guidance,
            negative_prompt=clean(request.negative_prompt),
            references=tuple(references),
            image=given,
            mask=mask_of(request, given),
            strength=strength,
        )
        make = self._made(asked, cast.people[0] if len(cast.people) == 1 else None)

        def made(seed: int, index: int, on_step: OnStep | None) -> Image.Image:
            drawn = make(seed, index, on_step)
            if drawn.size != given.size:
                drawn = drawn.resize(given.size, Image.Resampling.LANCZOS)
            if style is None or request.kind != "restyle":
                return drawn
            matched = look.matched(np.asarray(drawn), np.asarray(pictures.read(style)))
            return Image.fromarray(matched)

        return made

    def enhanced(self, request: GenerateRequest, cast: Cast, steps: int, guidance: float) -> Make:
        """Larger, tile by tile, the person's own references beside each tile."""
        given = read(request)
        longest = request.size_px or max(self.engine.enhance_px)
        references, counts = self.references(cast, spare=1)
        prompt = clean(request.prompt)
        if self.is_instructed:
            prompt = f"{words.ENHANCE} {prompt}".strip()
        if self.is_instructed and references:
            prompt = f"{prompt} They are {' and '.join(self._called(counts, 2))}."
        person = cast.people[0] if len(cast.people) == 1 else None
        family = self.server.family

        def make(seed: int, index: int, on_step: OnStep | None) -> Image.Image:
            told = telling(on_step, index)

            def improve(tile: Image.Image, number: int, count: int) -> Image.Image:
                asked = Asked(
                    prompt=prompt, seed=seed, width=tile.width, height=tile.height, steps=steps,
                    guidance=guidance, references=tuple(references), image=tile,
                    strength=None if self.is_instructed else ENHANCE_STRENGTH,
                )  # fmt: skip
                return self.server.alone(asked, person, told.part(number, count))

            return tiles.enlarged(
                given,
                longest,
                tile_px=self.engine.size_px,
                multiple_px=family.multiple_px,
                improve=improve,
            )

        return make

    # ── what they share ────────────────────────────────────────────────────────

    def references(self, cast: Cast, *, spare: int) -> tuple[list[Image.Image], list[int]]:
        """Pictures of the people, and how many of each; `spare` places are kept free.

        Whoever was trained needs one; others get what is left, so that everybody has one first.
        """
        if not all(person.lora for person in cast.people):
            self.server.family.check_looks(self.engine)
        if not self.is_instructed:
            spare = 0  # a picture that is changed is none that is looked at
        free = max(0, self.engine.references_max - spare) if self.server.family.looks else 0
        counts = [0] * len(cast.people)
        for turn in range(free):
            for row, person in enumerate(cast.people):
                most = 1 if person.lora else len(person.references)
                if sum(counts) < free and counts[row] == turn < min(most, len(person.references)):
                    counts[row] += 1
        found = [
            self._sent(self._face(each))
            for person, count in zip(cast.people, counts, strict=True)
            for each in person.pictures[:count]
        ]
        return found, counts

    @property
    def is_instructed(self) -> bool:
        return self.server.family.is_instructed

    def _called(self, counts: Sequence[int], first: int) -> list[str]:
        """Pictures have numbers only for those that follow words about them."""
        return words.shown(counts if self.is_instructed else [0] * len(counts), first)

    def _face(self, picture: Image.Image) -> Image.Image:
        """IP-Adapter plus-face looks at faces alone; where none can be found, at the reference."""
        if self.is_instructed or not self.faces or not (found := self.faces.find(picture)):
            return picture
        box, _ = around(picture, max(found, key=lambda face: face.box[2] * face.box[3]))
        return picture.crop(box)

    def _sent(self, picture: Image.Image) -> Image.Image:
        """Small: a reference of a megapixel more than doubles the work."""
        small = picture.copy()
        small.thumbnail((self.reference_px, self.reference_px), Image.Resampling.LANCZOS)
        return small

    def size(self, request: GenerateRequest, people: int) -> tuple[int, int]:
        """Width and height with about `size_px` squared pixels."""
        ratio = request.aspect_ratio
        if ratio == framing.AUTO:
            ratio = self.engine.pair_auto if people > 1 else "1:1"
        across, down = framing.RATIOS[ratio]
        side = request.size_px or self.engine.size_px
        unit = side / math.sqrt(across * down)
        return self._rounded(across * unit), self._rounded(down * unit)

    def fitted(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size a given picture is drawn in: its own, as far as engines draw that much."""
        most = EDITED_MEGAPIXELS * self.engine.size_px**2
        scale = min(1.0, math.sqrt(most / (size[0] * size[1])))
        return self._rounded(size[0] * scale), self._rounded(size[1] * scale)

    def _rounded(self, side: float) -> int:
        step = self.server.family.multiple_px
        return max(2 * step, round(side / step) * step)


@dataclass(frozen=True)
class Told:
    """Steps of one part of a picture, told as steps of the whole."""

    on_step: OnStep | None
    index: int
    start: float = 0.0
    share: float = 1.0

    def __call__(self, done: int, total: int) -> None:
        if self.on_step:
            at = round(100 * (self.start + self.share * done / total))
            self.on_step(Step("draw", at, 100, self.index))

    def part(self, number: int, count: int) -> Told:
        share = self.share / count
        return replace(self, start=self.start + number * share, share=share)


def telling(
    on_step: OnStep | None, index: int, *, start: float = 0.0, share: float | None = None
) -> Told:
    return Told(on_step, index, start, 1 - start if share is None else share)


def read(request: GenerateRequest) -> Image.Image:
    """The picture to start from. Raises EngineError: "bad_request", "bad_picture"."""
    if request.image is None:
        raise EngineError("bad_request", "Choose a picture to start from.")
    return pictures.read(request.image)


def mask_of(request: GenerateRequest, given: Image.Image) -> Image.Image | None:
    """White may change. Raises EngineError("bad_mask")."""
    if request.mask_image is None:
        return None
    try:
        mask = pictures.read(request.mask_image).convert("L").resize(given.size)
    except EngineError as error:
        raise EngineError("bad_mask", "The mask could not be read.") from error
    if mask.getextrema() == (0, 0):
        raise EngineError("bad_mask", "The mask is empty: paint what may change.")
    return mask


def around(drawn: Image.Image, face: Face) -> tuple[tuple[int, int, int, int], Image.Image]:
    """The square that is repainted with a face, and the soft mask within the whole picture."""
    x, y, w, h = face.box
    half = max(w, h) * (0.5 + REPAIR_MARGIN)
    middle = (x + w / 2, y + h / 2)
    left, top = (max(0, round(at - half)) for at in middle)
    right = min(drawn.width, round(middle[0] + half))
    bottom = min(drawn.height, round(middle[1] + half))
    rows, columns = np.mgrid[0 : drawn.height, 0 : drawn.width]
    away = np.hypot(columns - middle[0], rows - middle[1]) / half
    levels = (255 * np.clip((1 - away) / 0.25, 0, 1)).astype(np.uint8)
    return (left, top, right, bottom), Image.fromarray(levels)


def _extras(request: GenerateRequest) -> int:
    return sum(each is not None for each in (request.style_image, request.pose_image))


def _instruction(kind: str, prompt: str, style: int) -> str:
    start = {"restyle": words.RESTYLE.format(style=style), "vary": words.VARY}.get(kind, "")
    return " ".join(part for part in (start, prompt) if part)


def spoken_of(prompt: str) -> int:
    """How many people a prompt names."""
    return len(REFERENCE.findall(prompt))
