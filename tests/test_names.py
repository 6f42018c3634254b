"""What a portrait model may be called: one rule, counted alike by services and database."""

from __future__ import annotations

import pytest
from django.db import DataError, IntegrityError, transaction

from accounts.models import User
from billing.refusals import Refusal
from generator.portraits.models import PortraitModel
from generator.portraits.names import clean_description, clean_name
from tests import rows


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (" Ada ", "Ada"),
        ("a" * 32, "a" * 32),
        ("e\u0301" * 32, "é" * 32),  # 64 code points before NFC
        ("😀" * 32, "😀" * 32),
        ("\u202eevil\u202c", "evil"),
        ("\ufeffAda", "Ada"),
        ("👩‍🚀", "👩‍🚀"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("{{7*7}}", "{{7*7}}"),
    ],
)
def test_a_name_is_counted_after_nfc_and_strip(sent: str, kept: str) -> None:
    assert clean_name(sent) == kept


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("a" * 33, "name_too_long"),
        ("😀" * 33, "name_too_long"),
        ("a" * 65536, "name_too_long"),
        ("a\x00b", "bad_text"),
        ("\ud800", "bad_text"),
        ("a\nb", "bad_text"),
        ("a\uffff", "bad_text"),
    ],
)
def test_a_name_that_cannot_be_kept_is_refused(sent: str, code: str) -> None:
    with pytest.raises(Refusal) as why:
        clean_name(sent)
    assert why.value.code == code and why.value.status == 422


def test_a_description_has_at_most_512_characters() -> None:
    assert clean_description("a\r\nb") == "a\nb" and clean_description("") == ""
    assert len(clean_description("é" * 512)) == 512
    with pytest.raises(Refusal, match="at most 512"):
        clean_description("é" * 513)


@pytest.mark.parametrize(("field", "limit"), [("name", 32), ("description", 512)])
def test_the_database_counts_the_same_code_points(alice: User, field: str, limit: int) -> None:
    reference = rows.reference(alice)
    values = {"owner": alice, "reference": reference, "name": "Ada"}
    PortraitModel.objects.create(**(values | {field: "😀" * limit})).delete()
    with pytest.raises((IntegrityError, DataError)), transaction.atomic():
        PortraitModel.objects.create(**(values | {field: "a" * (limit + 1)}))
