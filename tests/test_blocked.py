"""What an operator does not want drawn is refused everywhere, before anything is charged."""

from __future__ import annotations

import base64
import os
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.urls import reverse
from pytest_django import Settings

from accounts.models import User
from billing import ledger
from billing.refusals import Refusal
from generator.api.tryiton import slots
from generator.jobs import blocked
from generator.jobs.models import Generation
from generator.photos.models import PhotoSet
from tests import pictures
from tests.api_parts import program
from tests.conftest import signed_in
from tests.job_parts import ready_model, submit
from tests.servers import BASE_DIR

EXAMPLE = BASE_DIR / "docs" / "blocked-words.example.txt"


@pytest.fixture
def words(settings: Settings, tmp_path: Path) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("# a note\n\nGore\nchild soldier  # two words\nnackte Haut\nstraße\n")
    settings.BLOCKED_WORDS = str(path)
    return path


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize(
    "prompt",
    [
        "gore", "much GORE!", "g\u00f6re", "\uff47\uff4f\uff52\uff45", "go\u200bre", "go\u00adre",
        "a child  soldier", "child-soldier", "child_soldier", "NACKTE\nHAUT", "STRASSE",
        "x " * 1900 + "gore",
    ],
)  # fmt: skip
def test_a_blocked_word_is_found_however_it_is_written(prompt: str) -> None:
    with pytest.raises(Refusal) as refused:
        blocked.check(prompt)
    assert refused.value.code == "content_blocked" and "Nothing was charged." in str(refused.value)


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize(
    "prompt", ["", "Goretex", "category", "a child and a soldier", "soldier child", "a note"]
)
def test_only_whole_words_and_phrases_count(prompt: str) -> None:
    blocked.check(prompt)


def test_nothing_is_blocked_unless_somebody_says_so(settings: Settings) -> None:
    assert settings.BLOCKED_WORDS == ""
    blocked.check(EXAMPLE.read_text())


def test_the_example_is_a_list(settings: Settings) -> None:
    settings.BLOCKED_WORDS = str(EXAMPLE)
    assert ("child", "soldier") in blocked.blocked() and ("one",) not in blocked.blocked()
    with pytest.raises(Refusal):
        blocked.check("Naked")


def test_a_changed_list_counts_at_once(words: Path) -> None:
    blocked.check("a cat")
    words.write_text("cat")
    os.utime(words, (0, 0))  # a clock that stands still between two writes
    with pytest.raises(Refusal):
        blocked.check("a cat")
    blocked.check("gore")


def test_a_list_that_cannot_be_read_refuses_everything_and_stops_the_start(words: Path) -> None:
    for broken in (b"\xff\xfe", b"a b c d e f g h i"):
        words.write_bytes(broken)
        with pytest.raises(SystemCheckError, match=r"studio\.E011"):
            call_command("check")
    words.unlink()
    with pytest.raises(Refusal, match="cannot be read"):
        blocked.check("a garden")


# --- everywhere ----------------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.usefixtures("words")
def test_every_api_refuses_it_in_its_own_shape(alice: User) -> None:
    model, before = ready_model(alice), ledger.balance(alice)
    asked = Generation.objects.count()
    own = program(alice)
    for path in ("/images", "/videos", "/faces"):
        body: dict[str, Any] = {"prompt": "gore", "portrait_model_ids": [str(model.pk)]}
        if path == "/faces":
            body = {"details": "gore"}
        answer = own("post", path, body)
        assert answer.status_code == 422, (path, answer.content)
        assert answer.json()["error"]["code"] == "content_blocked"
    phota = program(alice, base="/v1/phota")
    photo = base64.b64encode(pictures.encoded(pictures.scene((640, 640)), "PNG")).decode()
    for path, more in (("/generate", {}), ("/edit", {"images": [photo]})):
        answer = phota("post", path, {"prompt": f"[[{model.pk}]] in gore", **more})
        assert answer.status_code == 400 and answer.json()["code"] == "CONTENT_BLOCKED"
    tryiton = program(alice, base="/api/key", header="x-tryiton-key")
    slot = slots.listed(alice)[-1]
    training = {
        "modelId": str(slot.pk), "gender": "man", "styles": ["noir-man"], "imageUrls": [photo],
        "customizations": "glasses, gore",
    }  # fmt: skip
    again = {"imageUrl": photo, "category": "clothes", "prompt": "gore"}
    for path, body in (("/train-model", training), ("/recreate", again)):
        answer = tryiton("post", path, body)
        assert answer.status_code == 400 and "“gore” is not drawn" in answer.json()["message"]
    assert ledger.balance(alice) == before and Generation.objects.count() == asked
    assert not PhotoSet.objects.exists()


@pytest.mark.django_db
@pytest.mark.usefixtures("words")
def test_the_page_says_it_in_a_sentence(alice: User) -> None:
    model, before = ready_model(alice), ledger.balance(alice)
    sent = {"id": str(uuid.uuid4()), "kind": "image", "model": str(model.pk), "prompt": "gore"}
    answer = signed_in(alice).post(reverse("generation_create"), sent)
    assert "“gore” is not drawn in this studio." in answer.content.decode()
    assert ledger.balance(alice) == before


@pytest.mark.django_db
@pytest.mark.usefixtures("words")
def test_what_shall_not_be_seen_may_be_named(alice: User) -> None:
    model = ready_model(alice)
    asked = submit(alice, kind="image", prompt="a park", negative_prompt="gore", people=[model])
    assert asked.negative_prompt == "gore"
