"""The base model as it is committed: complete, small, listening, and the same for a seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from generator.engine.miniature.autoencoder import PatchAutoencoder
from generator.engine.miniature.base import WEIGHTS, Base, load_base
from generator.engine.miniature.conditioning import IDENTITY_TOKENS, encode_prompts
from generator.engine.miniature.evaluate import Case, case_of, conditioning_gap, retrieval
from generator.engine.miniature.make.export import MOST_BYTES, folder_bytes
from generator.engine.miniature.make.pictures import PEOPLE, READER


@pytest.fixture(scope="module")
def base() -> Base:
    return load_base()


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case_of(50 * number) for number in range(1, 13)]


def test_the_weights_are_small_enough_to_live_in_the_repository() -> None:
    upscaler = WEIGHTS.parent / "upscaler"
    assert folder_bytes(WEIGHTS) + folder_bytes(upscaler) <= MOST_BYTES


def test_the_stock_pipeline_draws_a_picture_from_words_alone(base: Base) -> None:
    picture = base.pipe(
        "a portrait of a woman at the beach",
        negative_prompt="glasses",
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(1),
    ).images[0]
    assert picture.size == (256, 256)
    assert np.asarray(picture).std() > 10


def test_the_same_seed_draws_the_same_pixels(base: Base) -> None:
    drawn = [
        base.pipe(
            "a man in a suit",
            num_inference_steps=2,
            output_type="np",
            generator=torch.Generator().manual_seed(3),
        ).images
        for _ in range(2)
    ]
    assert np.array_equal(drawn[0], drawn[1])


def test_words_nobody_knows_are_survived(base: Base) -> None:
    embeds = encode_prompts(
        base.pipe.tokenizer, base.pipe.text_encoder, ["grüße 北京 🙂 qwxz " * 300], None
    )
    assert bool(embeds.isfinite().all())


def test_identity_stands_behind_the_words_and_is_zero_for_nobody(base: Base) -> None:
    tokens = base.identity_encoder(torch.zeros(1, 3, 256, 256))
    parts = base.pipe.tokenizer, base.pipe.text_encoder
    someone = encode_prompts(*parts, ["a portrait", "in the snow"], tokens)
    nobody = encode_prompts(*parts, ["a portrait"], None)
    assert someone.shape[1] == base.pipe.tokenizer.model_max_length + IDENTITY_TOKENS
    assert torch.equal(someone[0, -IDENTITY_TOKENS:], tokens[0])
    assert not nobody[0, -IDENTITY_TOKENS:].any()


def test_the_trained_decoder_is_better_than_the_linear_one(base: Base, cases: list[Case]) -> None:
    painted = torch.stack([case.painted[0] for case in cases])
    vae = base.pipe.vae
    latents = vae.encode(painted).latents
    linear = torch.nn.functional.interpolate(vae.preview(latents), scale_factor=2, mode="bilinear")
    drawn = vae.decode(latents).sample
    assert (drawn - painted).square().mean() < 0.8 * (linear - painted).square().mean()


def test_the_right_words_help_and_wrong_ones_hurt(base: Base, cases: list[Case]) -> None:
    gap = conditioning_gap(base, cases, seed=0)
    assert gap["right"] < gap["none"] < gap["shuffled"]


def test_a_person_is_found_again_from_one_picture(base: Base, cases: list[Case]) -> None:
    found = retrieval(base, cases, seed=0)
    assert found["painter"] > 0.5
    assert found["instant"] > 0.25  # by chance it would be one in twelve


def test_the_codec_gives_back_what_its_components_span() -> None:
    vae = PatchAutoencoder(latent_channels=8, patch_px=16)
    basis = torch.linalg.qr(torch.randn(768, 8)).Q.T.contiguous()
    vae.set_components(torch.tensor([0.1, -0.2, 0.3]), basis, torch.rand(8) + 0.5)
    latents = torch.randn(2, 8, 8, 8)
    assert torch.allclose(vae.encode(vae.preview(latents)).latents, latents, atol=1e-4)


def test_the_reader_never_sees_a_person_of_the_base_model() -> None:
    assert PEOPLE.first + PEOPLE.people <= READER.first
