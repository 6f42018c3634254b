"""Weights for a GPU: what is fetched, what is refused, and who may use which engine."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from pytest_django import Settings
from safetensors.torch import save

from accounts.models import User
from generator.assets.models import Asset
from generator.engine import registry
from generator.engine.production import bench, weights
from generator.engine.production.learning import STEPS
from generator.jobs.models import Generation
from studio import checks
from tests import hub, production_parts, rows, servers, trainer_parts

KLEIN = registry.weights_of("klein")
SDXL = registry.weights_of("sdxl")
assert KLEIN and SDXL
REPO = SDXL.render.repo


def pipeline() -> dict[str, bytes]:
    """The files of a repository, with some that must stay where they are."""
    index = {
        "_class_name": "StableDiffusionXLPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    }
    return {
        "model_index.json": json.dumps(index).encode(),
        "scheduler/scheduler_config.json": b"{}",
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.safetensors": save({"weight": torch.ones(4, 4)}),
        "unet/diffusion_pytorch_model.fp16.safetensors": save({"weight": torch.ones(4, 4).half()}),
        "unet/diffusion_pytorch_model.bin": b"a pickle",
        "unet/modeling.py": b"import os",
        "sd_xl_base_1.0.safetensors": save({"weight": torch.ones(8, 8)}),
    }


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def whole(folder: Path) -> Path:
    files = pipeline()
    return write(folder, {n: d for n, d in files.items() if not n.endswith((".bin", ".py"))})


def engines(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`manage.py engines …` as an operator runs it: the hub's address is read at its start."""
    return subprocess.run(
        [sys.executable, "manage.py", "engines", *arguments],
        cwd=servers.BASE_DIR,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def messages(folder: Path) -> str:
    return " ".join(each.message for each in weights.check(folder))


# --- fetching ------------------------------------------------------------------------
def test_only_what_cannot_run_is_fetched(tmp_path: Path) -> None:
    with hub.serving(REPO, pipeline()) as there:
        words = (
            "from generator.engine.registry import Source\n"
            "from generator.engine.production import weights\n"
            f"folder = weights.pull(Source({REPO!r}, {hub.COMMIT!r}))\n"
            f"assert folder == weights.folder_of(Source({REPO!r}, {hub.COMMIT!r}))\n"
            "print([each.message for each in weights.check(folder)])"
        )
        done = subprocess.run(
            [sys.executable, "-c", words],
            cwd=servers.BASE_DIR,
            env=os.environ | {"HF_ENDPOINT": there.address, "HF_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.strip() == "[]"
    assert "unet/diffusion_pytorch_model.safetensors" in there.asked
    assert not [name for name in there.asked if name.endswith((".bin", ".py", ".fp16.safetensors"))]
    assert "sd_xl_base_1.0.safetensors" not in there.asked


def test_a_pull_without_a_network_says_so(tmp_path: Path) -> None:
    done = engines("pull", "sdxl", HF_ENDPOINT="http://127.0.0.1:9", HF_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "could not be fetched. Is there a network" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_commit_that_is_gone_is_named(tmp_path: Path) -> None:
    with hub.serving("somebody/else", pipeline()) as there:
        done = engines("pull", "sdxl", HF_ENDPOINT=there.address, HF_HOME=str(tmp_path))
    assert done.returncode == 1
    assert f"{REPO} does not exist" in done.stderr


# --- checking ------------------------------------------------------------------------
def test_a_whole_folder_has_nothing_wrong(tmp_path: Path) -> None:
    assert messages(whole(tmp_path)) == ""


def test_files_that_run_code_are_named(tmp_path: Path) -> None:
    found = messages(write(tmp_path, pipeline()))
    assert "unet/modeling.py could run code" in found
    assert "unet/diffusion_pytorch_model.bin could run code" in found


@pytest.mark.parametrize("kept", [0, 7, 40, -1])
def test_a_cut_off_file_is_found(tmp_path: Path, kept: int) -> None:
    path = whole(tmp_path) / "unet/diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    assert "unet/diffusion_pytorch_model.safetensors" in messages(tmp_path)


def test_a_missing_part_and_a_missing_shard_are_found(tmp_path: Path) -> None:
    folder = whole(tmp_path)
    index = {"weight_map": {"weight": "diffusion_pytorch_model-00002-of-00002.safetensors"}}
    (folder / "unet/diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "scheduler/scheduler_config.json").unlink()
    (folder / "scheduler").rmdir()
    assert "scheduler is missing." in messages(folder)
    assert "unet/diffusion_pytorch_model-00002-of-00002.safetensors is missing." in messages(folder)


def test_bytes_that_are_not_the_published_ones_are_found(tmp_path: Path) -> None:
    """As the hub's cache keeps them: a link to a blob whose name is the SHA-256."""
    path = whole(tmp_path / "here") / "unet/diffusion_pytorch_model.safetensors"
    blob = tmp_path / "blobs" / weights.sha256(path)
    blob.parent.mkdir()
    path.rename(blob)
    path.symlink_to(blob)
    assert messages(tmp_path / "here") == ""
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    assert "SHA-256 differs" in messages(tmp_path / "here")


# --- the catalogue -------------------------------------------------------------------
def test_every_engine_names_where_its_licence_was_read() -> None:
    for row in registry.rows().values():
        if row.weights:
            assert row.description.licence_url.startswith("https://"), row.description.name


def test_what_is_recommended_is_verified_and_pinned() -> None:
    klein = registry.describe("klein")
    assert klein.verified and klein.commercial
    assert KLEIN and all(len(source.revision) == 40 for source in KLEIN.sources)


def test_the_list_shows_licences_memory_and_what_is_allowed(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.COMMERCIAL_ONLY = True
    call_command("engines", "list")
    shown = capsys.readouterr().out
    assert "Apache-2.0, https://github.com/black-forest-labs/flux2" in shown
    assert "  8 GB     nf4, model offload" in shown
    assert "allowed    yes" in shown


def test_hearsay_about_a_licence_is_no_licence_to_sell() -> None:
    klein = registry.describe("klein")
    assert not registry.refusal(replace(klein, commercial=False), commercial_only=False)
    for change in ({"commercial": False}, {"verified": False}):
        why = registry.refusal(replace(klein, **change), commercial_only=True)  # type: ignore[arg-type]
        assert why.startswith("FLUX.2 klein 4B may not be used commercially")


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> dict[str, registry.Row]:
    """The rows, with klein's clips made by an engine that may not be sold."""
    found = dict(registry.rows())
    wan = found["wan"]
    found["wan"] = replace(wan, description=replace(wan.description, commercial=False))
    monkeypatch.setattr(registry, "rows", lambda catalogue=None: found)
    return found


def test_the_engine_that_makes_clips_counts_too(
    settings: Settings, catalogue: dict[str, registry.Row]
) -> None:
    settings.ENGINE_IMAGE = "klein"
    assert not checks.check_engine_may_be_used()
    settings.COMMERCIAL_ONLY = True
    (found,) = checks.check_engine_may_be_used()
    assert found.id == "studio.E004"
    assert found.msg == "Wan2.2 TI2V 5B may not be used commercially (Apache-2.0)."


# --- the start -----------------------------------------------------------------------
@pytest.mark.parametrize(
    "command", [("manage.py", "studio", "--port", "0"), ("manage.py", "check"), ("-m", "worker")]
)
def test_what_may_not_be_sold_does_not_start(tmp_path: Path, command: tuple[str, ...]) -> None:
    """The product's own entries, with a catalogue that has an engine for research only."""
    text = registry.CATALOGUE.read_text()
    start = text.index("[sdxl]")
    text = text[:start] + text[start:].replace("commercial = true", "commercial = false", 1)
    (tmp_path / "engines.toml").write_text(text)
    manage = "from django.core.management import execute_from_command_line as run; run(sys.argv)"
    entry = "import studio.worker" if command[0] == "-m" else manage
    words = (
        "import sys, pathlib, generator.engine.registry as registry\n"
        f"registry._find.__defaults__ = (pathlib.Path({str(tmp_path)!r}, 'engines.toml'),)\n"
        f"sys.argv = {list(command)!r}\n{entry}"
    )
    done = subprocess.run(
        [sys.executable, "-c", words],
        cwd=servers.BASE_DIR,
        env=os.environ
        | {
            "ENGINE_IMAGE": "sdxl",
            "COMMERCIAL_ONLY": "1",
            "VAR_DIR": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "studio.settings",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert "Stable Diffusion XL 1.0 may not be used commercially (OpenRAIL++-M)." in done.stderr
    assert "is at http" not in done.stdout


# --- measuring -----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "kind"), [("klein", "image"), ("enhance", "enhance"), ("qwen-edit", "edit")]
)
def test_a_bench_on_a_processor_says_what_it_measured(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> None:
    folder = production_parts.make("klein" if name == "enhance" else name, tmp_path / name)
    monkeypatch.setattr(bench, "ROUNDS", 1)
    settings.ENGINE_IMAGE, settings.ENGINE_WEIGHTS = name, str(folder)
    out = io.StringIO()
    with trainer_parts.small_pictures():
        call_command("engines", "bench", name, "--size", "64", stdout=out)
    said = out.getvalue()
    assert f"on CPU, {kind}, 64 px" in said
    assert "s a picture, peak no card" in said
    assert "TFLOP/s measured" in said
    learns = f"{STEPS} steps of" in said and ", 64 px, peak no card" in said
    assert learns == (name != "enhance")


# --- the page ------------------------------------------------------------------------
def test_a_picture_shows_its_licence_and_says_where_nothing_measures_faces(
    alice: User, alice_client: Client
) -> None:
    made = rows.generation(rows.portrait_model(alice), count=1)
    Generation.objects.filter(pk=made.pk).update(engine="klein")
    picture = made.assets.get()

    def page() -> str:
        return alice_client.get(reverse("picture", args=[picture.pk])).content.decode()

    assert "Likeness is not available" not in page()  # it was measured
    assert 'href="https://github.com/black-forest-labs/flux2" rel="license' in page()
    Asset.objects.filter(pk=picture.pk).update(likeness=None)
    assert "Likeness is not available: nothing here measures faces." in page()
    Generation.objects.filter(pk=made.pk).update(engine="miniature")
    assert "Likeness is not available" not in page()
