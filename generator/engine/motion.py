"""From a few key pictures to all frames of a clip: what lies between, and blinking.

The base model jumps from "facing the camera" to "turned left": words between the two give
the one or the other, never a head half turned. So it draws the keys only, all from the same
noise, and what lies between is moved there along the optical flow from key to key. Knows
pixels and time; no torch, no prompts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
"""(S, S, 3)"""
Field = NDArray[np.float32]

FLOW_PX = 256  # side at which flow is measured; finer finds grain instead of features
SMOOTH_PX = 2.0  # of the flow: features move as one piece
AGREE, SPREAD = 0.012, 0.04  # of the side: flows that differ by less agree; smoothing
FAR = 0.08  # of the side: no feature of a turning head goes further
MOUTH_Y = 0.6
NEW = (14.0, 40.0)  # levels of 255: below grain, above something that was not there before
HOLD = 0.16  # of the way between two keys is spent at rest at either end
BLINK_S = (0.09, 0.05, 0.14)  # closing, closed, opening
FIRST_BLINK_S, BLINK_EVERY_S = 0.45, 1.9
# Where the base model draws eyes, in fractions of the side, and how they look there.
EYE_Y, EYE_X, TURN_X = 0.447, 0.107, 0.14  # height; from the middle; moved by a radian of turn
SEARCH = 0.045  # how far eyes wander from there
EYE_W, EYE_UP, EYE_DOWN = 0.064, 0.050, 0.034  # half width, from the iris up and down
SURE = 0.4  # correlation above which it is an eye


@dataclass(frozen=True)
class Key:
    """A key picture and, where they were found, its eyes in pixels (x, y)."""

    picture: Frame
    eyes: tuple[tuple[float, float], ...] = ()

    def blinking(self, amount: float) -> Frame:
        """With lids closed by `amount` in 0..1; unchanged where no eyes were found."""
        picture = self.picture
        for eye in self.eyes if amount > 0 else ():
            picture = _lid(picture, eye, amount)
        return picture


@dataclass(frozen=True)
class Way:
    """From one key to the next."""

    start: Key
    end: Key

    @cached_property
    def flows(self) -> tuple[Field, Field]:
        """Where each pixel of the one lies in the other, both ways, (S, S, 2) in pixels."""
        there = flow(self.start.picture, self.end.picture)
        return there, flow(self.end.picture, self.start.picture)

    def frame(self, share: float, closed: float) -> Frame:
        """The picture `share` (0..1) of the way along, with eyes closed by `closed`."""
        if self.start is self.end or share <= 0.0:
            return self.start.blinking(closed)
        if share >= 1.0:
            return self.end.blinking(closed)
        there, back = self.flows
        first = _moved(self.start.blinking(closed), back * share)
        second = _moved(self.end.blinking(closed), there * (1 - share))
        return cv2.addWeighted(first, 1 - share, second, share, 0.0)  # type: ignore[return-value]


def frames(keys: list[Key], count: int, fps: int) -> Iterator[Frame]:
    """`count` frames that pass all `keys` and come back to the first: a clip that loops."""
    if len(keys) == 1:
        keys = keys * 2
    else:
        keys = [*keys, keys[0]]
    ways = [Way(here, after) for here, after in itertools.pairwise(keys)]
    for number in range(count):
        place = number / count * len(ways)
        way = ways[min(int(place), len(ways) - 1)]
        yield way.frame(eased(place - int(place)), closed(number / fps))


def eased(share: float) -> float:
    """A rest at both ends, and no jerk between."""
    inner = min(1.0, max(0.0, (share - HOLD) / (1 - 2 * HOLD)))
    return inner * inner * (3 - 2 * inner)


def closed(second: float) -> float:
    """How far lids are closed at that time, 0..1."""
    since = (second - FIRST_BLINK_S) % BLINK_EVERY_S if second >= FIRST_BLINK_S else math.inf
    closing, shut, opening = BLINK_S
    if since < closing:
        return since / closing
    if since < closing + shut:
        return 1.0
    return max(0.0, 1.0 - (since - closing - shut) / opening)


def flow(first: Frame, second: Frame) -> Field:
    """Dense optical flow (DIS), (S, S, 2) in pixels of the pictures."""
    size = (FLOW_PX, FLOW_PX)
    small = [
        cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        for frame in (first, second)
    ]
    # cv2's stubs do not know it
    finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # type: ignore[attr-defined]
    found = cv2.GaussianBlur(finder.calc(small[0], small[1], None), (0, 0), SMOOTH_PX)
    side = first.shape[0]
    large: Field = cv2.resize(found, (side, side)) * (side / FLOW_PX)
    return large


def likewise(own: Frame, still: Frame, moved: Frame, yaw: float = 0.0) -> Frame:
    """`own` changed the way that `still` changes into `moved`, all (S, S, 3).

    Pixels go where the drawn ones go. What is new round the mouth of the head turned by
    `yaw` radians (teeth, lips that close) is added as a difference; everything else that
    drawings do not agree about, hair that changes sides, is left behind.
    """
    way = _agreed(flow(moved, still), flow(still, moved))
    new = moved.astype(np.float32) - _moved(still, way)
    size = cv2.GaussianBlur(np.abs(new).max(2), (0, 0), own.shape[0] / 100)
    share = np.clip((size - NEW[0]) / (NEW[1] - NEW[0]), 0, 1) * _mouth(own.shape[0], yaw)
    return (_moved(own, way) + new * share[..., None]).clip(0, 255).astype(np.uint8)


def _agreed(there: Field, back: Field) -> Field:
    """The flow `there` where going there and back ends near the start, spread from around
    where it does not."""
    side = there.shape[0]
    ends = there + _moved(back, there)
    agreed = np.exp(-(ends**2).sum(2) / (AGREE * side) ** 2)
    near = (there**2).sum(2) < (FAR * side) ** 2
    trust = (agreed * near + 1e-3).astype(np.float32)[..., None]
    wide = (0, 0)
    weight = cv2.GaussianBlur(trust, wide, SPREAD * side)[..., None]
    spread: Field = cv2.GaussianBlur(there * trust, wide, SPREAD * side) / weight
    return spread


def _mouth(side: int, yaw: float) -> Field:
    """1 round the mouth, falling to 0, (S, S)."""
    ys, xs = np.mgrid[0:side, 0:side].astype(np.float32) / side
    x, y = (xs - 0.5 - TURN_X * yaw) / 0.13, (ys - MOUTH_Y) / 0.085
    mask: Field = np.clip(1.6 - (x**2 + y**2) * 1.2, 0, 1)
    return mask


def find_eyes(picture: Frame, yaw: float) -> tuple[tuple[float, float], ...]:
    """Both eyes of a drawn face turned by `yaw` radians, or none: half a blink is worse."""
    side = picture.shape[0]
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    pattern = _eye_pattern(side)
    height, width = pattern.shape
    found = []
    for x in (0.5 - EYE_X + TURN_X * yaw, 0.5 + EYE_X + TURN_X * yaw):
        left = round((x - SEARCH) * side) - width // 2
        top = round((EYE_Y - SEARCH) * side) - height // 2
        wide = round(2 * SEARCH * side)
        part = grey[top : top + height + wide, left : left + width + wide]
        _, best, _, (dx, dy) = cv2.minMaxLoc(cv2.matchTemplate(part, pattern, cv2.TM_CCOEFF_NORMED))
        if best < SURE:
            return ()
        found.append((left + dx + width / 2, top + dy + height / 2))
    return tuple(found)


def _almond(half: float, side: int) -> tuple[Field, Field, Field]:
    """x, upper and lower y of an open eye round its iris, in pixels."""
    x = np.linspace(-half * side, half * side, 41).astype(np.float32)
    bow = np.clip(1 - (x / (half * side)) ** 2, 0, 1)
    return x, -EYE_UP * side * bow**0.7, EYE_DOWN * side * bow**0.8


def _polygon(x: Field, upper: Field, lower: Field, at: tuple[float, float]) -> NDArray[np.int32]:
    points = np.concatenate([np.stack([x, upper], 1), np.stack([x, lower], 1)[::-1]])
    fixed: NDArray[np.int32] = np.round((points + np.array(at)) * 16).astype(np.int32)
    return fixed  # with 4 bits of fraction


def _eye_pattern(side: int) -> Frame:
    """A dark iris in a white almond under a dark lid, on something of middling grey."""
    half_w, half_h = round((EYE_W + 0.006) * side), round((EYE_UP + 0.006) * side)
    pattern = np.full((2 * half_h, 2 * half_w), 150, np.uint8)
    middle = (float(half_w), float(half_h))
    x, upper, lower = _almond(EYE_W, side)
    cv2.fillPoly(pattern, [_polygon(x, upper, lower, middle)], 250, cv2.LINE_AA, 4)
    cv2.circle(pattern, (half_w, half_h), round(0.032 * side), 80, -1)
    cv2.circle(pattern, (half_w, half_h), round(0.014 * side), 20, -1)
    lid = _polygon(x, upper, upper, middle)[: len(x)]
    cv2.polylines(pattern, [lid], False, 40, max(2, side // 100), cv2.LINE_AA, 4)
    return cv2.GaussianBlur(pattern, (0, 0), side / 200)  # type: ignore[return-value]


def _lid(picture: Frame, eye: tuple[float, float], amount: float) -> Frame:
    """A lid of the skin's own colour comes down over the eye, lashes at its edge."""
    side = picture.shape[0]
    x, upper, lower = _almond(EYE_W + 0.004, side)
    upper = upper - 0.006 * side  # lashes go down with the lid
    edge = upper + (lower - upper) * np.float32(amount)
    cover = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(cover, [_polygon(x, upper, edge, eye)], 255, cv2.LINE_AA, 4)
    alpha = cv2.GaussianBlur(cover, (0, 0), side / 400)[..., None].astype(np.float32) / 255
    column, row = round(eye[0]), round(eye[1])
    above = round(row - (EYE_UP + 0.012) * side)
    strip = picture[above - side // 100 : above, column - side // 32 : column + side // 32]
    skin = np.median(strip.reshape(-1, 3), 0) * (1 - 0.05 * amount)
    near = picture[row - side // 40 : row + side // 40, column - side // 40 : column + side // 40]
    lash = np.percentile(near.reshape(-1, 3), 3, axis=0)
    painted = (picture * (1 - alpha) + skin * alpha).astype(np.uint8)
    line = _polygon(x, edge, edge, eye)[: len(x)]
    colour = tuple(float(value) for value in lash)
    cv2.polylines(painted, [line], False, colour, max(2, side // 110), cv2.LINE_AA, 4)
    return painted


def _moved(picture: NDArray[Any], by: Field) -> NDArray[Any]:
    """Every pixel taken from where `by` points."""
    ys, xs = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]].astype(np.float32)
    return cv2.remap(  # type: ignore[return-value]
        picture, xs + by[..., 0], ys + by[..., 1], cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip


class Steadiness:
    """Measures frames as they pass.

    `flicker`: mean |frame - mean of the frames before and after|, of 255 levels; movement
    that goes on evenly has none, a level that comes and goes has all of it. `motion`: mean
    |frame - frame before|.
    """

    def __init__(self) -> None:
        self._last: list[Field] = []
        self._flickers: list[float] = []
        self._motions: list[float] = []

    def see(self, frame: Frame) -> None:
        self._last = [*self._last[-2:], frame.astype(np.float32)]
        if len(self._last) > 1:
            self._motions.append(float(np.abs(self._last[-1] - self._last[-2]).mean()))
        if len(self._last) == 3:
            before, here, after = self._last
            self._flickers.append(float(np.abs(here - (before + after) / 2).mean()))

    @property
    def flicker(self) -> float:
        return round(float(np.mean(self._flickers)), 3) if self._flickers else 0.0

    @property
    def motion(self) -> float:
        return round(float(np.mean(self._motions)), 3) if self._motions else 0.0
