"""How the base model is made: what it consists of, and trainings that survive a kill."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import nn

from generator.engine.miniature.base import WEIGHTS, load_base
from generator.engine.miniature.captions import caption
from generator.engine.miniature.denoiser import PLAN, Denoiser
from generator.engine.miniature.make.assemble import take_up
from generator.engine.miniature.make.decoder import load_vae
from generator.engine.miniature.make.diffusion import load_unet
from generator.engine.miniature.make.loop import Training
from generator.engine.miniature.make.pictures import PEOPLE, PictureSet, Store, paint_chunk, shot_of
from generator.engine.miniature.make.plan import plans
from generator.engine.miniature.make.recipe import Folder, new_unet
from generator.engine.miniature.painter import Person, Shot

ASKED = torch.randn(2, 64, 8, 8), torch.tensor([300.0, 900.0]), torch.randn(2, 72, 128)


def test_an_untrained_denoiser_gives_its_sketch() -> None:
    unet = new_unet().eval()
    sketch, plan = unet.sketch(*ASKED)
    assert plan.shape == (2, PLAN)
    assert torch.equal(unet(*ASKED).sample, sketch)


def test_a_kept_denoiser_draws_the_same(tmp_path: Path) -> None:
    unet = new_unet().eval()
    nn.init.normal_(unet.conv_out.weight)
    unet.save_pretrained(tmp_path)
    again = Denoiser.from_pretrained(tmp_path).eval()
    again.set_attn_processor(AttnProcessor())
    assert torch.equal(again(*ASKED).sample, unet(*ASKED).sample)


def test_words_and_identity_each_change_the_plan() -> None:
    unet, (latents, timestep, states) = new_unet().eval(), ASKED
    _, plan = unet.sketch(latents, timestep, states)
    for row in (0, -1):
        other = states.clone()
        other[:, row] += 1
        assert not torch.allclose(unet.sketch(latents, timestep, other)[1], plan)


def test_a_plan_holds_every_number_and_word_of_a_picture(tmp_path: Path) -> None:
    store = Store(Folder(tmp_path), PictureSet("few", first=0, people=2, shots=2, large=0))
    store.create()
    paint_chunk(store, 0)
    found = plans(store)
    assert found.shape == (4, PLAN)
    assert np.array_equal(found[0, :80], found[1, :80])  # one person
    assert len(np.unique(found, axis=0)) == 4


def test_pictures_are_framed_exactly() -> None:
    shots = [shot_of(person, 0) for person in range(30)]
    assert {(shot.shift_x, shot.shift_y) for shot in shots} == {(0.0, 0.0)}
    assert len({shot.yaw for shot in shots}) == 3


def test_some_captions_have_few_clauses_as_most_prompts_do() -> None:
    rng = random.Random(1)
    lengths = [
        len(caption(Person.random(rng), Shot.random(rng), rng).split(", ")) for _ in range(200)
    ]
    assert 0.2 < np.mean([length <= 4 for length in lengths]) < 0.6


def steps(training: Training, model: nn.Module, count: int) -> None:
    for number in range(count):
        seen = torch.linspace(-1, 1 + number, 80 * 4).reshape(4, 80)
        training.learn((model(seen) - 1).square().mean(), 4)


@pytest.mark.parametrize("muon", [False, True])
def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path: Path, muon: bool) -> None:
    def begun(file: str) -> tuple[Training, nn.Module]:
        torch.manual_seed(3)
        model = nn.Linear(80, 70)
        # Of so long a time that the rate is the same a moment later.
        return Training(model, tmp_path / file, seconds=1e9, peak=0.01, muon=muon), model

    whole, model = begun("whole")
    steps(whole, model, 2)
    killed, half = begun("half")
    steps(killed, half, 2)
    killed.save()
    resumed, again = begun("half")
    for training, trained in ((whole, model), (resumed, again)):
        steps(training, trained, 3)
    assert resumed.step_count == whole.step_count == 5
    for one, other in zip(again.parameters(), model.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


@pytest.mark.engine
def test_a_making_is_taken_up_from_the_committed_weights(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    take_up(folder, WEIGHTS, 60.0)
    base = load_base()
    for found, kept in ((load_unet(folder), base.pipe.unet), (load_vae(folder), base.pipe.vae)):
        for one, other in zip(found.state_dict().values(), kept.state_dict().values(), strict=True):
            assert torch.equal(one, other)


def test_the_set_is_the_same_in_every_making() -> None:
    assert PEOPLE.first == 0
    assert shot_of(7, 1) == shot_of(7, 1)
