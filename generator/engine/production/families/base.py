"""What the families have in common: loading by a plan, one generator a request, and a way out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers import DiffusionPipeline, PipelineQuantizationConfig
from PIL import Image
from torch import Tensor, nn

from generator.engine import garbage
from generator.engine.interface import Description, EngineError
from generator.engine.production.memory import Plan
from generator.engine.production.regions import Box

Tell = Callable[[int, int], None]
"""(done, total) steps of one call. May raise, which is how a call is canceled."""

PROMPTS_KEPT = 64  # encoded prompts; a text encoder of four billion weights is not asked twice
COPIED = 255  # of a mask: from here on a pixel may change


@dataclass(frozen=True)
class Asked:
    """One picture to draw. What differs within a batch: prompt, seed and who is worn."""

    prompt: str
    seed: int
    width: int
    height: int
    steps: int
    guidance: float
    negative_prompt: str = ""
    references: tuple[Image.Image, ...] = ()  # people first, then style and pose
    image: Image.Image | None = None  # to be changed
    mask: Image.Image | None = None  # of `image`: white may change, black stays
    strength: float | None = None

    def goes_with(self, other: Asked) -> bool:
        """Whether both may be rows of one batch."""
        mine, theirs = (
            (a.width, a.height, a.steps, a.guidance, a.image, a.mask, a.strength, a.references)
            for a in (self, other)
        )
        return mine == theirs


class Family:
    """One base model, warm. Not safe to be used by two threads at once."""

    denoiser_name: ClassVar[str] = "transformer"
    multiple_px: ClassVar[int] = 16  # what sides are rounded to
    batches: ClassVar[bool] = True  # whether rows of one call may differ
    is_instructed: ClassVar[bool] = True  # follows words about the pictures it is shown
    starts_from_nothing: ClassVar[bool] = True  # else from a person or a picture
    first_reference: ClassVar[int] = 2  # its number beside a picture that is changed in part
    prompt_tokens: ClassVar[int] = 512  # klein reads that many, padded; trainings as well
    looks: bool = True  # whether it can look at pictures of people

    def __init__(self, pipe: Any, plan: Plan, device: torch.device) -> None:
        self.pipe = pipe
        self.plan = plan
        self.device = device
        self._prompts: OrderedDict[tuple[Any, ...], tuple[Tensor, ...]] = OrderedDict()
        pipe.set_progress_bar_config(disable=True)

    @classmethod
    def load(
        cls, folder: Path, plan: Plan, device: torch.device, beside: Path | None = None
    ) -> Any:
        """From folders alone, safetensors only. `beside`: what looks at people for a base that
        cannot. Raises EngineError("no_weights")."""
        try:
            pipe = DiffusionPipeline.from_pretrained(folder, **cls.options(folder, plan))
            family = cls(pipe, plan, device)
            if beside:
                family.add(beside)
        except (OSError, ValueError, AttributeError, KeyError) as error:
            raise EngineError(
                "no_weights", f"The weights in {folder.name} could not be loaded: {error}"
            ) from error
        family.place()
        return family

    def add(self, beside: Path) -> None:
        """Weights of another repository, before anything is placed."""

    def check_looks(self, engine: Description) -> None:
        """Raises EngineError("no_weights") where nothing can look at a person's pictures."""
        if not self.looks:
            raise EngineError(
                "no_weights",
                f"{engine.title} looks at people with IP-Adapter, which is not here. "
                f"Fetch it with: python manage.py engines pull {engine.name}",
            )

    @classmethod
    def options(cls, folder: Path, plan: Plan) -> dict[str, Any]:
        found: dict[str, Any] = {
            "dtype": getattr(torch, plan.dtype),
            "use_safetensors": True,
            "local_files_only": True,
        }
        if plan.quantise == "nf4":
            found["quantization_config"] = PipelineQuantizationConfig(
                quant_backend="bitsandbytes_4bit",
                quant_kwargs={
                    "load_in_4bit": True,
                    "bnb_4bit_quant_type": "nf4",
                    "bnb_4bit_compute_dtype": getattr(torch, plan.dtype),
                },
                components_to_quantize=[cls.denoiser_name, "text_encoder"],
            )
        return found

    def place(self) -> None:
        """Weights to where the plan wants them. Hooks come last: they wrap what is there."""
        for part in self.pipe.components.values():
            if isinstance(part, nn.Module):
                part.eval().requires_grad_(False)
        if self.plan.quantise == "fp8":
            self.denoiser.enable_layerwise_casting(  # type: ignore[operator]
                storage_dtype=torch.float8_e4m3fn, compute_dtype=getattr(torch, self.plan.dtype)
            )
        if self.plan.tiling:
            self.pipe.vae.enable_tiling()
        if self.plan.offload == "model":
            self.pipe.enable_model_cpu_offload(device=self.device)
        elif self.plan.offload == "group":
            self.pipe.enable_group_offload(
                onload_device=self.device,
                offload_type="block_level",
                num_blocks_per_group=1,
                use_stream=self.device.type == "cuda",
            )
        else:
            self.pipe.to(self.device)

    @property
    def denoiser(self) -> nn.Module:
        found: nn.Module = getattr(self.pipe, self.denoiser_name)
        return found

    @property
    def dtype(self) -> torch.dtype:
        found: torch.dtype = getattr(torch, self.plan.dtype)
        return found

    def draw(self, asked: Sequence[Asked], tell: Tell) -> list[Image.Image]:
        """One batch: `goes_with` holds for all of them, and where not `batches` it has one row."""
        with torch.inference_mode(False), torch.no_grad():
            try:
                return self._draw(asked, tell)
            finally:
                self.pipe.maybe_free_model_hooks()

    def _draw(self, asked: Sequence[Asked], tell: Tell) -> list[Image.Image]:
        raise EngineError("bad_request", "This engine draws no pictures.")

    def layout(self, asked: Asked, boxes: Sequence[Box], owners: Sequence[int | None]) -> Any:
        """Where adapters of several people count, `owners` says whose each reference is; None
        where nothing of the kind is known of this family."""
        return None

    def unload(self) -> None:
        """Give memory back."""
        self.pipe.remove_all_hooks()
        self._prompts.clear()
        self.pipe = None
        garbage.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def remembered(self, key: tuple[Any, ...], make: Callable[[], tuple[Tensor, ...]]) -> Any:
        """An encoded prompt, made once."""
        if key not in self._prompts:
            self._prompts[key] = make()
            while len(self._prompts) > PROMPTS_KEPT:
                self._prompts.popitem(last=False)
        self._prompts.move_to_end(key)
        return self._prompts[key]


def generators(asked: Sequence[Asked]) -> list[torch.Generator]:
    """On the processor: the same noise whatever the card."""
    return [torch.Generator("cpu").manual_seed(one.seed % 2**63) for one in asked]


def telling(tell: Tell, total: int) -> Callable[..., dict[str, Any]]:
    """A pipeline's `callback_on_step_end`. An exception leaves the pipeline ready for more;
    its own `_interrupt` would decode a half-finished picture instead."""

    def called(pipe: Any, step: int, timestep: Any, found: dict[str, Any]) -> dict[str, Any]:
        tell(step + 1, total)
        return found

    return called


def kept_outside(drawn: Image.Image, asked: Asked) -> Image.Image:
    """What the mask keeps is the given picture's own, pixel for pixel."""
    if asked.image is None or asked.mask is None:
        return drawn
    drawn = drawn.resize(asked.image.size, Image.Resampling.LANCZOS)
    return Image.composite(drawn, asked.image, asked.mask.resize(asked.image.size))
