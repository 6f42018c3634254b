"""What every engine offers, in values that cross a process border. No torch here.

Pictures cross the border as PNG bytes, adapters as safetensors bytes: both sides
can store, hash and compare them without knowing how they were made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Kind = Literal["face", "image", "edit", "enhance", "restyle", "vary"]
Tier = Literal["instant", "fast", "trained"]

OnStep = Callable[["Step"], None]
"""Called by the engine after every step. May raise to stop the call."""


class EngineError(Exception):
    """Something a person should be told. `code` is stable, the message is a sentence.

    `retryable` is true when the same call may well succeed next time (the process
    died, the machine was short of something), false when the request is at fault.
    """

    def __init__(self, code: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.retryable = retryable


class Canceled(Exception):
    """Raised from `on_step` (or in the parent) to stop a call."""


@dataclass(frozen=True)
class Step:
    """One sign of life: `done` of `total` steps of `phase`."""

    phase: str  # "load", "read", "views", "prior", "train", "draw", "save"
    done: int
    total: int
    index: int = 0  # which picture of the request this is about
    preview: bytes | None = None  # JPEG, at most 128 px a side


@dataclass(frozen=True)
class Quality:
    """One choice of how large and how carefully pictures are drawn."""

    name: str
    title: str
    size_px: int  # a square picture's side; others have about as many pixels
    steps: int


@dataclass(frozen=True)
class Description:
    """What an engine is and may be used for."""

    name: str
    title: str
    licence: str
    commercial: bool
    kinds: tuple[str, ...]
    tiers: tuple[Tier, ...]
    size_px: int  # side of the pictures it returns
    prompt_max: int = 4000
    people_max: int = 1  # portrait models in one picture; a clip shows one
    clip_s: tuple[float, float] = (2.0, 4.0)  # shortest and longest clip
    clip_fps: tuple[int, int] = (12, 24)  # fewest and most frames a second
    enhance_px: tuple[int, ...] = ()  # sides that "enhance" can give
    qualities: tuple[Quality, ...] = ()  # the first is the usual one; none: only `size_px`
    aspect_ratios: tuple[str, ...] = ("auto",)
    pair_ratios: tuple[str, ...] = ("auto",)  # those that two people fit in
    pair_auto: str = "4:3"  # what "auto" is of several people
    boxes: str = ""  # what boxes of people decide: "order" from left to right, "place"; nothing
    notes: str = ""  # what a person who chooses an engine should know
    licence_url: str = ""  # where the licence was read
    verified: bool = True  # false: only hearsay says what the licence is
    references_max: int = 20  # pictures of one person that are looked at
    needs: tuple[str, ...] = ()  # packages beside requirements.txt


@dataclass(frozen=True)
class Recipe:
    """How long and how hard a person is learnt. `None`: the engine's own choice.

    The tier "fast" makes `views` of the person and learns those: of `earlier`, a file that it
    made, all but the `rejected` ones are kept, which are named as `card.View.name` does. The tier
    "trained" draws `prior` pictures of others and learns them beside the person's; 0: none.
    """

    steps: int | None = None
    learning_rate: float | None = None
    rank: int | None = None
    checkpoint_every_s: float = 0.25  # of 3 s of training; one write takes about 10 ms
    evaluation_images: int | None = None  # pictures drawn for `TrainedAdapter.likeness`
    views: int | None = None
    prior: int | None = None
    earlier: bytes = b""
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True)
class GenerateRequest:
    """One request for pictures. Argument names are those of diffusers.

    With several adapters the i-th "[[id]]" or "@name" of the prompt means the i-th adapter:
    words between two of them belong to the first of these, "[[a]] in a red dress and [[b]]
    in a suit, at the beach" dresses both and puts both on the beach. Two people stand side
    by side: such a picture is wider than high.

    "edit", "enhance", "restyle" and "vary" start from `image`: a square, or a picture of any
    shape and number of people that "image" makes. For "edit" `prompt` is the instruction
    ("make the hair blue", "in the snow"); it may be empty for the others. "restyle" gives
    the picture the surroundings, clothes and colours of `style_image`; "edit" takes of it what
    the instruction points at ("in the clothes of image 2", "with the background of the other
    picture"), and nothing otherwise.
    """

    kind: Kind
    prompt: str
    negative_prompt: str = ""
    num_images: int = 1
    num_inference_steps: int | None = None  # None: the engine's default
    guidance_scale: float | None = None
    pose_image: bytes | None = None  # PNG; only its pose is used
    image: bytes | None = None  # PNG, JPEG or WebP
    mask_image: bytes | None = None  # white may change, black stays pixel for pixel
    strength: float | None = None  # 0..1: how far an edit may go from `image`
    size_px: int | None = None  # a square's side; None: the engine's own, or `enhance`'s largest
    aspect_ratio: str = "auto"  # of "image" and "face"; the others keep the one of `image`
    style_image: bytes | None = None  # surroundings, clothes and colours are taken from it
    look: str = ""  # a colouring the engine lays over what it drew; see `look`
    people_shown: int | None = None  # in `image`; None: told by its shape
    recognise: bool = False  # adapters are candidates: whoever of them is seen in `image`
    best_of: int = 1  # pictures drawn for each one given, the one most like its people is kept
    likeness_floor: int = 0  # 0..100: a picture below is drawn once more
    # x, y, w, h as fractions for each adapter: where they stand, as far as `Description.boxes`
    # says that an engine can follow. Empty: in their order
    regions: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True)
class AnimateRequest:
    """One request for a clip: a person moving in front of a scene that stays.

    `moves` are words the movement passes, one after the other, beside those of `prompt`:
    ("facing the camera", "turned left", "smiling"). Empty: read from the prompt's own
    words, or a look around with a smile. Clips end as they begin.
    """

    prompt: str = ""
    moves: tuple[str, ...] = ()
    negative_prompt: str = ""
    seconds: float = 3.0
    fps: int = 24
    image: bytes | None = None  # the picture to set in motion; None: draw one
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    aspect_ratio: str = "auto"  # of a clip that is drawn; a picture keeps its own
    look: str = ""


@dataclass(frozen=True)
class FaceScore:
    """How much one face in a picture is the person of the reference."""

    likeness: int  # 0..100
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)  # x, y, w, h as fractions
    yaw: float = 0.0  # head turn in radians, positive to the picture's right
    missing: bool = False  # asked for, but nobody in the picture is like them
    turned: float = 0.0  # radians between this head and the reference's: 0 is the very same pose


@dataclass(frozen=True)
class GeneratedImage:
    png: bytes
    seed: int  # draws exactly this picture again, alone
    faces: tuple[FaceScore, ...] = ()  # one for each adapter, in their order
    below_floor: bool = False  # drawn twice, and still under `likeness_floor`

    @property
    def likeness(self) -> int:
        """Of whoever is least like themselves; 0 without people."""
        return min((face.likeness for face in self.faces), default=0)


@dataclass(frozen=True)
class Clip:
    """A finished clip. Every frame is looked at, so its worst moment is known."""

    mp4: bytes  # H.264, yuv420p, index in front: plays while it loads, in Safari as well
    webm: bytes  # VP9, for browsers without the licence for the other
    poster: bytes  # PNG of the first frame
    seed: int
    frames: int
    fps: int
    width: int
    height: int
    faces: tuple[FaceScore, ...] = ()  # for each adapter: mean likeness over the frames
    worst: tuple[FaceScore, ...] = ()  # for each adapter: the frame least like them
    worst_frame: int = 0  # which that is (of the first adapter)
    worst_picture: bytes = b""  # PNG of that frame, empty without people
    flicker: float = 0.0  # mean |frame - mean of its neighbours|, of 255 levels
    motion: float = 0.0  # mean |frame - frame before|, of 255 levels

    @property
    def seconds(self) -> float:
        return self.frames / self.fps


@dataclass(frozen=True)
class Sighting:
    """Where one of several photos shows the person they are about, or why it does not."""

    # left, top and side of the square to learn from, as fractions of width, height and width
    square: tuple[float, float, float] | None = None
    face: float = 0.0  # how wide the face is, as a fraction of the photo's width
    reason: str = ""  # "no_face", "somebody_else"


@dataclass(frozen=True)
class TrainedAdapter:
    safetensors: bytes  # LoRA in diffusers' key format, identity tokens in the metadata
    likeness: int | None  # mean over evaluation pictures, 0..100; None: nothing to measure with
    preview: bytes | None = None  # PNG: the person drawn by the new adapter


class Engine(Protocol):
    """One base model, warm. Same seed, same pixels."""

    def describe(self) -> Description: ...

    def train(
        self,
        references: Sequence[bytes],
        *,
        tier: Tier = "trained",
        seed: int = 0,
        resume_dir: Path | None = None,
        recipe: Recipe | None = None,
        on_step: OnStep | None = None,
    ) -> TrainedAdapter:
        """Learn one person from square reference pictures.

        Continues from the newest checkpoint in `resume_dir` if there is one and
        writes checkpoints there. Raises EngineError("no_reference") when empty.
        """
        ...

    def generate(
        self,
        request: GenerateRequest,
        adapters: Sequence[bytes] = (),
        *,
        seed: int = 0,
        on_step: OnStep | None = None,
        on_image: Callable[[int, GeneratedImage], None] | None = None,
    ) -> list[GeneratedImage]:
        """Draw `request.num_images` pictures; picture i uses seed + i.

        Raises EngineError: "bad_request" (steps, guidance, strength, size, regions out of
        bounds; a kind without its `image`), "bad_picture", "bad_mask", "too_many_people",
        "boxes_unsupported", and what reading an adapter raises.
        """
        ...

    def animate(
        self,
        request: AnimateRequest,
        adapters: Sequence[bytes] = (),
        *,
        seed: int = 0,
        on_step: OnStep | None = None,
    ) -> Clip:
        """Set one person in motion. Errors as of `generate`, and "no_video"."""
        ...

    def likeness(self, reference: bytes, picture: bytes) -> list[FaceScore]:
        """One score for each face that is looked for in `picture`, from left to right."""
        ...

    def find_subject(
        self, photos: Sequence[bytes], *, on_step: OnStep | None = None
    ) -> list[Sighting]:
        """The person who is in most of these photos, in each of them.

        Raises EngineError: "no_face", "multiple_faces" (two people who are in every photo).
        """
        ...


@dataclass
class TrainCall:
    references: list[bytes]
    tier: Tier = "trained"
    seed: int = 0
    resume_dir: str | None = None
    recipe: Recipe | None = None


@dataclass
class GenerateCall:
    request: GenerateRequest
    adapters: list[bytes] = field(default_factory=list)
    seed: int = 0


@dataclass
class AnimateCall:
    request: AnimateRequest
    adapters: list[bytes] = field(default_factory=list)
    seed: int = 0


@dataclass
class LikenessCall:
    reference: bytes
    picture: bytes


@dataclass
class FindCall:
    photos: list[bytes]


Call = TrainCall | GenerateCall | AnimateCall | LikenessCall | FindCall
Result = TrainedAdapter | list[GeneratedImage] | Clip | list[FaceScore] | list[Sighting]
