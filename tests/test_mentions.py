"""People in prompts: "@name" becomes "[[id]]", and nobody else's private model is ever one."""

from __future__ import annotations

import time
import uuid

import pytest

from accounts.models import User
from billing.refusals import Refusal
from generator.jobs.models import NAMED_MAX
from generator.portraits import mentions
from generator.portraits.models import PortraitModel
from tests import rows


@pytest.fixture
def ada(alice: User) -> PortraitModel:
    return rows.portrait_model(alice, "Ada")


@pytest.fixture
def lovelace(alice: User) -> PortraitModel:
    return rows.portrait_model(alice, "Ada Lovelace")


def test_the_longest_name_that_fits_is_meant(
    alice: User, ada: PortraitModel, lovelace: PortraitModel
) -> None:
    for typed, kept, people in (
        ("@Ada in red", f"[[{ada.pk}]] in red", [ada]),
        ("@ada, smiling", f"[[{ada.pk}]], smiling", [ada]),
        ("@Ada Lovelace in red", f"[[{lovelace.pk}]] in red", [lovelace]),
        ("@Adamant in red", "@Adamant in red", []),
        ("me@Ada.com", "me@Ada.com", []),
        ("@nobody and @Ada", f"@nobody and [[{ada.pk}]]", [ada]),
        (
            "@Ada and @Ada Lovelace, @Ada laughing",
            f"[[{ada.pk}]] and [[{lovelace.pk}]], [[{ada.pk}]] laughing",
            [ada, lovelace],
        ),
    ):
        assert mentions.resolve(alice, typed) == (kept, people)
        assert mentions.shown(kept, people).casefold() == typed.casefold()


def test_without_a_name_those_that_were_picked_are_meant(alice: User, ada: PortraitModel) -> None:
    assert mentions.resolve(alice, "at the beach", [ada]) == ("at the beach", [ada])


def test_of_two_models_of_one_name_the_picked_one_is_meant(alice: User, ada: PortraitModel) -> None:
    other = rows.portrait_model(alice, "Ada")
    for picked in (ada, other):
        assert mentions.resolve(alice, "@Ada", [picked])[1] == [picked]


def test_own_models_come_before_public_ones_of_the_same_name(
    alice: User, bob: User, ada: PortraitModel
) -> None:
    public = rows.portrait_model(bob, "Ada")
    assert mentions.resolve(alice, "@Ada")[1] == [ada]
    assert mentions.resolve(bob, "@Ada")[1] == [public]


def test_a_public_model_is_named_only_where_its_owner_allows_it(alice: User, bob: User) -> None:
    rows.portrait_model(bob, "Closed", others_may_use=False)
    open_ = rows.portrait_model(bob, "Open")
    assert mentions.resolve(alice, "@Closed and @Open")[1] == [open_]


def test_unknown_and_foreign_ids_are_refused_alike(alice: User, bob: User) -> None:
    private = rows.portrait_model(bob, "Hidden", is_public=False)
    closed = rows.portrait_model(bob, "Closed", others_may_use=False)
    told = []
    for id in (private.pk, closed.pk, uuid.uuid4(), "1", "OR"):
        with pytest.raises(Refusal) as refused:
            mentions.resolve(alice, f"[[{id}]] in red")
        told.append((refused.value.code, refused.value.message, refused.value.status))
    assert len(set(told)) == 1


@pytest.mark.parametrize("text", ["[[", "[[]]", "[[a", "[[../../x]]", "[[1 OR 1=1]]", "[[[["])
def test_what_is_no_id_stays_text(alice: User, ada: PortraitModel, text: str) -> None:
    assert mentions.resolve(alice, text, [ada]) == (text, [ada])


def test_ids_may_stand_in_any_case_and_in_brackets_of_their_own(
    alice: User, ada: PortraitModel
) -> None:
    assert mentions.resolve(alice, f"[[{str(ada.pk).upper()}]]")[1] == [ada]
    assert mentions.resolve(alice, f"[[[[{ada.pk}]]]]")[1] == [ada]


def test_people_are_named_only_so_often(alice: User, ada: PortraitModel) -> None:
    mentions.resolve(alice, "@Ada " * NAMED_MAX)
    with pytest.raises(Refusal, match="at most"):
        mentions.resolve(alice, "@Ada " * (NAMED_MAX + 1))


@pytest.mark.parametrize("text", ["[" * 4000, "[[a" * 1300, "@" * 4000, "@a" * 2000, "@a " * 1300])
def test_hostile_prompts_cost_no_time(alice: User, text: str) -> None:
    """Linear: a quadratic reader would need minutes for a hundred times as much."""
    started = time.process_time()
    for _ in range(3):
        mentions.REFERENCE.findall(text * 100)
        mentions.AT.findall(text * 100)
    assert time.process_time() - started < 30
    mentions.resolve(alice, text)
