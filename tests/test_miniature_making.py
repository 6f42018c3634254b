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
from generator.engine.miniature.denoiser import (
    CHOICES,
    LOOK,
    NUMBERS,
    PERSON,
    PLAN,
    SHOT,
    Denoiser,
    Words,
    decided,
    sketching,
)
from generator.engine.miniature.make.assemble import take_up
from generator.engine.miniature.make.decoder import load_vae
from generator.engine.miniature.make.diffusion import load_unet, sketching_unet
from generator.engine.miniature.make.loop import Training
from generator.engine.miniature.make.pictures import PEOPLE, PictureSet, Store, paint_chunk, shot_of
from generator.engine.miniature.make.plan import plans
from generator.engine.miniature.make.recipe import Folder, new_unet
from generator.engine.miniature.make.sketch import plan_loss
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
    person = NUMBERS + sum(PERSON)
    assert np.array_equal(found[0, :person], found[1, :person])
    assert len(np.unique(found, axis=0)) == 4
    for choice in choices(torch.from_numpy(found)):
        assert choice.sum(1).tolist() == [1.0] * 4  # one-hot, so the sizes are right


def choices(plan: torch.Tensor) -> tuple[torch.Tensor, ...]:
    parts: tuple[torch.Tensor, ...] = plan[:, NUMBERS:].split(CHOICES, dim=1)
    return parts


def test_a_guess_becomes_numbers_and_chances() -> None:
    guess = 5 * torch.randn(3, PLAN)
    plan = decided(guess)
    assert torch.equal(plan[:, :NUMBERS], guess[:, :NUMBERS])
    for logits, chances in zip(choices(guess), choices(plan), strict=True):
        assert torch.allclose(chances.sum(1), torch.ones(3))
        assert torch.equal(chances.argmax(1), logits.argmax(1))


def test_a_plan_is_learnt_by_its_numbers_and_by_its_choices() -> None:
    plan = decided(1e3 * torch.randn(4, PLAN))  # of one choice each
    sure = torch.cat([plan[:, :NUMBERS], 40 * plan[:, NUMBERS:]], dim=1)
    assert plan_loss(sure, plan) < 1e-3
    for column in (0, NUMBERS - 1):
        off = sure.clone()
        off[:, column] += 1
        assert plan_loss(off, plan) == pytest.approx(1 / PLAN, rel=1e-2)
    other = torch.cat([sure[:, : -SHOT[-1]], sure[:, -SHOT[-1] :].roll(1, 1)], dim=1)
    assert plan_loss(other, plan) > 0.1


@torch.no_grad()
def test_a_look_finds_its_word_among_many() -> None:
    """A mean would hear one word of 64 by a sixty-fourth."""
    words = Words(128, 16)
    words.told.weight[:, LOOK:] = 0  # of the first look alone
    sought = 50 * words.queries[0] / words.queries[0].norm()
    alone = words(sought.expand(1, 64, -1))
    for place in (0, 40):
        states = torch.zeros(1, 64, 128)
        states[0, place] = sought
        assert torch.allclose(words(states), alone, atol=1e-3)


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


@pytest.mark.engine
def test_a_unet_is_trained_behind_a_sketch_that_stays(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    take_up(folder, WEIGHTS, 60.0)
    unet = sketching_unet(folder)
    learning = {name for name, weights in unet.named_parameters() if weights.requires_grad}
    parts = ("time_embedding.", "planner.", "renderer.")
    assert not [name for name in learning if name.startswith(parts)]
    assert {"conv_in.weight", "conv_out.weight"} < learning
    for one, other in zip(
        sketching(unet).parameters(), sketching(load_base().pipe.unet).parameters(), strict=True
    ):
        assert torch.equal(one, other)


def test_the_set_is_the_same_in_every_making() -> None:
    assert PEOPLE.first == 0
    assert shot_of(7, 1) == shot_of(7, 1)
