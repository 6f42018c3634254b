"""Drawing in a square of 256 by 256 units, whatever the pixels: smooth shapes, soft light."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import skia

SIDE: Final = 256.0  # units of a picture's side
Color = tuple[float, float, float]  # red, green, blue in [0, 255]
Point = tuple[float, float]


def mix(first: Color, second: Color, share: float) -> Color:
    """`share` 0 is the first color, 1 the second."""
    a, b = first, second
    return (
        a[0] + (b[0] - a[0]) * share,
        a[1] + (b[1] - a[1]) * share,
        a[2] + (b[2] - a[2]) * share,
    )


def dark(color: Color, share: float) -> Color:
    """Towards a warm black."""
    return mix(color, (24.0, 14.0, 22.0), share)


def light(color: Color, share: float) -> Color:
    """Towards white."""
    return mix(color, (255.0, 252.0, 246.0), share)


def argb(color: Color, alpha: float = 1.0) -> int:
    """Skia's integer color."""
    red, green, blue = (min(255, max(0, int(part + 0.5))) for part in color)
    return (int(255 * min(1.0, max(0.0, alpha)) + 0.5) << 24) | (red << 16) | (green << 8) | blue


def add_curve(path: skia.Path, points: Sequence[Point], *, closed: bool = False) -> None:
    """Catmull-Rom through `points`; starts where the path is, or at the first point."""
    count = len(points)
    spans = count if closed else count - 1
    for index in range(spans):
        before = points[index - 1] if closed or index else points[0]
        start, end = points[index], points[(index + 1) % count]
        after = points[(index + 2) % count] if closed or index + 2 < count else end
        path.cubicTo(
            start[0] + (end[0] - before[0]) / 6, start[1] + (end[1] - before[1]) / 6,
            end[0] - (after[0] - start[0]) / 6, end[1] - (after[1] - start[1]) / 6,
            end[0], end[1],
        )  # fmt: skip


def blob(points: Sequence[Point]) -> skia.Path:
    """A smooth closed shape through `points`."""
    path = skia.Path()
    path.moveTo(*points[0])
    add_curve(path, points, closed=True)
    path.close()
    return path


def patch(*edges: Sequence[Point]) -> skia.Path:
    """A closed shape of smooth edges with corners where they meet."""
    path = skia.Path()
    path.moveTo(*edges[0][0])
    last = edges[0][0]
    for edge in edges:
        if edge[0] != last:
            path.lineTo(*edge[0])
        add_curve(path, edge)
        last = edge[-1]
    path.close()
    return path


def line(points: Sequence[Point]) -> skia.Path:
    """A smooth open stroke."""
    path = skia.Path()
    path.moveTo(*points[0])
    add_curve(path, points)
    return path


def oval(x: float, y: float, radius_x: float, radius_y: float) -> skia.Path:
    """An upright ellipse."""
    path = skia.Path()
    path.addOval(skia.Rect(x - radius_x, y - radius_y, x + radius_x, y + radius_y))
    return path


def box(left: float, top: float, right: float, bottom: float, radius: float = 0.0) -> skia.Path:
    """A rectangle, perhaps with round corners."""
    path = skia.Path()
    path.addRoundRect(skia.Rect(left, top, right, bottom), radius, radius)
    return path


def mirrored(points: Sequence[Point], axis: float) -> list[Point]:
    """The points across a vertical axis, in reverse order: the other half of an outline."""
    return [(2 * axis - x, y) for x, y in reversed(points)]


class Brush:
    """A canvas scaled to units."""

    def __init__(self, canvas: skia.Canvas) -> None:
        self.canvas = canvas

    def fill(self, path: skia.Path, color: Color, alpha: float = 1.0) -> None:
        """One flat color."""
        self.canvas.drawPath(path, skia.Paint(AntiAlias=True, Color=argb(color, alpha)))

    def fade(
        self, path: skia.Path, first: Color, second: Color, *, start: Point, end: Point,
        alphas: tuple[float, float] = (1.0, 1.0),
    ) -> None:  # fmt: skip
        """A straight gradient."""
        shader = skia.GradientShader.MakeLinear(
            [start, end], [argb(first, alphas[0]), argb(second, alphas[1])]
        )
        self.canvas.drawPath(path, skia.Paint(AntiAlias=True, Shader=shader))

    def stroke(self, path: skia.Path, color: Color, width: float, alpha: float = 1.0) -> None:
        """A round-ended line `width` units wide."""
        self.canvas.drawPath(
            path,
            skia.Paint(
                AntiAlias=True, Color=argb(color, alpha), Style=skia.Paint.kStroke_Style,
                StrokeWidth=width, StrokeCap=skia.Paint.kRound_Cap,
                StrokeJoin=skia.Paint.kRound_Join,
            ),
        )  # fmt: skip

    def glow(
        self, x: float, y: float, radius: float, color: Color, alpha: float, flat: float = 1.0
    ) -> None:
        """A soft spot that fades to nothing; `flat` squeezes its height."""
        shader = skia.GradientShader.MakeRadial(
            (0, 0), radius, [argb(color, alpha), argb(color, alpha * 0.55), argb(color, 0)],
            [0.0, 0.5, 1.0],
        )  # fmt: skip
        self.canvas.save()
        self.canvas.translate(x, y)
        self.canvas.scale(1.0, flat)
        self.canvas.drawCircle(0, 0, radius, skia.Paint(AntiAlias=True, Shader=shader))
        self.canvas.restore()

    @contextmanager
    def inside(self, path: skia.Path) -> Iterator[None]:
        """Everything drawn meanwhile stays inside the shape."""
        self.canvas.save()
        self.canvas.clipPath(path, skia.ClipOp.kIntersect, True)
        try:
            yield
        finally:
            self.canvas.restore()

    def grade(
        self, first: Color, second: Color, *, start: Point, end: Point, mode: skia.BlendMode,
        alphas: tuple[float, float] = (1.0, 1.0),
    ) -> None:  # fmt: skip
        """Blends a gradient over the whole picture."""
        shader = skia.GradientShader.MakeLinear(
            [start, end], [argb(first, alphas[0]), argb(second, alphas[1])]
        )
        self.canvas.drawPaint(skia.Paint(Shader=shader, BlendMode=mode))


def ring(x: float, y: float, radius_x: float, radius_y: float, bumps: int, depth: float,
         first: float = 0.0, last: float = 2 * math.pi) -> list[Point]:  # fmt: skip
    """Points of an ellipse with soft bumps, from angle to angle (0 right, clockwise)."""
    points = []
    for index in range(2 * bumps + 1):
        angle = first + (last - first) * index / (2 * bumps)
        reach = depth if index % 2 else 0.0
        points.append(
            (x + (radius_x + reach) * math.cos(angle), y + (radius_y + reach) * math.sin(angle))
        )
    return points
