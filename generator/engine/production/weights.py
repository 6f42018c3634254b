"""Weights of the engines for a GPU: fetched once, checked, and found again. No torch.

They lie in the hub's own cache (HF_HOME), where other programs find them too. Only safetensors,
configurations and vocabularies are fetched: nothing that could run is ever on the disk.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from generator.engine.interface import EngineError
from generator.engine.registry import Source, Weights

PARTS = ("*/*.safetensors", "*/*.safetensors.index.json")  # not what lies beside the pipeline
TEXT = ("*.json", "*/*.json", "*/*.txt", "*/*.model", "*/*.jinja", "LICENSE*", "README.md")
ALLOWED = (*PARTS, *TEXT)
VARIANTS = ("*.fp16.*", "*.non_ema.*", "*onnx*", "*openvino*")  # the same weights once more
RUNS_CODE = (".py", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".so", ".zip", ".sh")
CHUNK = 2**22
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be, in words."""

    message: str


def pull(source: Source) -> Path:
    """Fetch one repository at its commit. Raises EngineError("pull_failed")."""
    try:
        folder = snapshot_download(
            source.repo,
            revision=source.revision or None,
            allow_patterns=list(source.files or ALLOWED),
            ignore_patterns=list(VARIANTS),
        )
    except GatedRepoError:
        raise _failed(
            source, "asks for an account. Accept its licence there, and set HF_TOKEN."
        ) from None
    except RepositoryNotFoundError:
        raise _failed(source, "does not exist, or is closed to this account.") from None
    except RevisionNotFoundError:
        raise _failed(source, f"has no commit {source.revision}.") from None
    except Exception as error:  # noqa: BLE001  there is no end of ways for a network to fail
        reason = re.sub(r"\s+", " ", str(error))[:200]
        raise _failed(
            source,
            "could not be fetched. Is there a network, and room on the disk? What came is kept, "
            f"and the next try goes on from there. ({type(error).__name__}: {reason})",
        ) from None
    return Path(folder)


def _failed(source: Source, what: str) -> EngineError:
    return EngineError("pull_failed", f"{source.repo} {what}", retryable=True)


def folder_of(source: Source) -> Path | None:
    """Where a repository lies, None before it was pulled. Asks no network."""
    try:
        found = snapshot_download(
            source.repo,
            revision=source.revision or None,
            allow_patterns=list(source.files or ALLOWED),
            ignore_patterns=list(VARIANTS),
            local_files_only=True,
        )
    except (LocalEntryNotFoundError, OSError):
        return None
    return Path(found)


def is_installed(weights: Weights) -> bool:
    return all(folder_of(source) for source in weights.sources)


def check(folder: Path, files: tuple[str, ...] = (), *, hashes: bool = True) -> list[Finding]:
    """Whether a pipeline's folder is whole and holds nothing that runs. Reads every weight.

    `files`: these are looked for instead of a pipeline's.
    """
    found = _wrong_files(folder, files, hashes=hashes) if files else _wrong(folder, hashes=hashes)
    return [Finding(message) for message in found]


def _wrong_files(folder: Path, files: tuple[str, ...], *, hashes: bool) -> Iterator[str]:
    for name in files:
        if not _is(folder / name):
            yield f"{name} is missing."
    yield from _wrong_anywhere(folder, hashes=hashes)


def _wrong(folder: Path, *, hashes: bool) -> Iterator[str]:
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        yield f"{folder} holds no pipeline: model_index.json is missing or broken."
        return
    for name, value in index.items():
        is_part = isinstance(value, list) and len(value) == 2 and value[0]
        if is_part and not (folder / name).is_dir():
            yield f"{name} is missing."
        elif is_part and value[0] in ("diffusers", "transformers"):
            yield from _wrong_part(folder / name)
    yield from _wrong_anywhere(folder, hashes=hashes)


def _wrong_anywhere(folder: Path, *, hashes: bool) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in RUNS_CODE:
            yield f"{path.relative_to(folder)} could run code. Delete it; nothing here needs it."
        elif path.suffix == ".safetensors":
            yield from _wrong_tensors(path, folder, hashes=hashes)


def _wrong_part(part: Path) -> Iterator[str]:
    """Every shard an index names, and weights wherever there is a model's configuration."""
    for path in part.glob("*.safetensors.index.json"):
        shards = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
        yield from (f"{part.name}/{s} is missing." for s in sorted(shards) if not _is(part / s))
    has_weights = any(part.glob("*.safetensors"))
    if (part / "config.json").is_file() and not has_weights:
        yield f"{part.name} has no weights as safetensors."


def _is(path: Path) -> bool:
    return path.is_file()


def _wrong_tensors(path: Path, folder: Path, *, hashes: bool) -> Iterator[str]:
    """Its header must add up to its size; the hub names a blob by the SHA-256 of its bytes."""
    name, size = path.relative_to(folder), path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if length < size else {}
        ends = [value["data_offsets"][1] for key, value in header.items() if key != "__metadata__"]
        expected = 8 + length + max(ends)
    except (ValueError, KeyError, TypeError):
        yield f"{name} is damaged."
        return
    if expected != size:
        yield f"{name} has {size:,} bytes of {expected:,}."
        return
    blob = path.resolve().name
    if hashes and _SHA256.fullmatch(blob) and sha256(path) != blob:
        yield f"{name} is not what was published: its SHA-256 differs."


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def missing_packages(needs: tuple[str, ...]) -> list[str]:
    return [name for name in needs if importlib.util.find_spec(name) is None]


def size_gb(source: Source) -> float | None:
    """What a pull would fetch, asked of the hub; None without a network."""
    try:
        info = HfApi().model_info(
            source.repo, revision=source.revision or None, files_metadata=True, timeout=10
        )
    except Exception:  # noqa: BLE001  as above; a size is a courtesy
        return None
    files = [one for one in info.siblings or [] if one.rfilename.endswith(".safetensors")]
    wanted = [one for one in files if "/" in one.rfilename and _is_wanted(one.rfilename, source)]
    return sum(one.size or 0 for one in wanted) / 1e9


def _is_wanted(name: str, source: Source) -> bool:
    return not source.files or name in source.files
