"""API keys: made once, shown once, kept as a digest, revoked for good."""

from __future__ import annotations

import hashlib
import io
import logging
import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from accounts import keys
from accounts.models import ApiKey, User
from generator.api import moving
from generator.api.docs import APIS
from tests.api_parts import Program

pytestmark = pytest.mark.django_db
FORM = {"name": "my shop", "scopes": ["read", "generate"], "spend_limit": "50", "consent": "on"}


def test_a_key_is_shown_once_and_only_its_digest_is_kept(alice: User, alice_client: Client) -> None:
    page = alice_client.post(reverse("api_keys"), FORM)
    assert page.status_code == 201
    found = re.search(r'value="(lk_[\w-]{40,})"', page.content.decode())
    assert found
    secret = found[1]
    key = alice.api_keys.get()
    assert key.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in str(vars(key)) and (key.scopes, key.spend_limit) == (
        ["read", "generate"],
        50,
    )
    assert secret not in alice_client.get(reverse("api_keys")).content.decode()
    assert Program(secret)("get", "/account").status_code == 200


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "This field is required."),
        ({"scopes": ["everything"]}, "Select a valid choice."),
        ({"spend_limit": "-1"}, "greater than or equal to 0"),
        ({"consent": ""}, "Please confirm that you have their permission."),
    ],
)
def test_a_wrong_form_says_what_is_wrong(
    change: dict[str, object], words: str, alice: User, alice_client: Client
) -> None:
    page = alice_client.post(reverse("api_keys"), {**FORM, **change})
    assert page.status_code == 422 and words in page.content.decode()
    assert not alice.api_keys.exists()


def test_a_person_has_so_many_keys_and_no_more(alice: User, alice_client: Client) -> None:
    for number in range(keys.KEYS_MAX):
        keys.create(alice, name=str(number), scopes=["read"])
    assert alice_client.post(reverse("api_keys"), FORM).status_code == 422
    alice_client.post(reverse("api_key_revoke", args=[alice.api_keys.first().pk]))  # type: ignore[union-attr]
    assert alice_client.post(reverse("api_keys"), FORM).status_code == 201


def test_a_revoked_key_works_no_more(alice: User, alice_client: Client) -> None:
    key, secret = keys.create(alice, name="old", scopes=["read"])
    assert Program(secret)("get", "/account").status_code == 200
    alice_client.post(reverse("api_key_revoke", args=[key.pk]))
    assert Program(secret)("get", "/account").status_code == 401


def test_nobody_revokes_somebody_elses(alice: User, bob_client: Client) -> None:
    key, secret = keys.create(alice, name="hers", scopes=["read"])
    assert bob_client.post(reverse("api_key_revoke", args=[key.pk])).status_code == 404
    assert Program(secret)("get", "/account").status_code == 200


def test_whoever_may_not_sign_in_has_no_working_key(alice: User) -> None:
    _, secret = keys.create(alice, name="hers", scopes=["read"])
    User.objects.update(is_active=False)
    assert Program(secret)("get", "/account").status_code == 401


def test_the_last_use_is_known_to_the_minute(alice: User) -> None:
    key, secret = keys.create(alice, name="hers", scopes=["read"])
    Program(secret)("get", "/account")
    used = ApiKey.objects.get(pk=key.pk).last_used_at
    assert used is not None
    Program(secret)("get", "/account")
    assert ApiKey.objects.get(pk=key.pk).last_used_at == used
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    Program(secret)("get", "/account")
    assert ApiKey.objects.get(pk=key.pk).last_used_at > used  # type: ignore[operator]


def test_a_key_is_never_logged(
    alice: User, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    _, secret = keys.create(alice, name="hers", scopes=["read"])
    with caplog.at_level(logging.DEBUG):
        for one in (secret, secret + "x"):
            Program(one)("get", "/jobs/nonsense")
            Program("")("get", "/account", Authorization=f"Bearer {one}")
    assert secret not in caplog.text and secret not in capsys.readouterr().err


def test_a_script_gets_a_key_from_the_command_line(alice: User) -> None:
    out = io.StringIO()
    call_command("api_key", "create", "Alice@example.com", "--scopes", "read", stdout=out)
    assert Program(out.getvalue().strip())("get", "/account").status_code == 200
    assert alice.api_keys.get().scopes == ["read"]
    with pytest.raises(CommandError, match="Nobody"):
        call_command("api_key", "create", "nobody@example.com")


@pytest.mark.parametrize("name", sorted(APIS))
def test_every_operation_is_documented(name: str, client: Client) -> None:
    page = client.get(reverse("api_docs_of", args=[name])).content.decode()
    schema = APIS[name].get_openapi_schema()
    assert schema["openapi"].startswith("3.1")
    for path, methods in schema["paths"].items():
        for method, said in methods.items():
            assert said.get("summary") and f"curl -X {method.upper()}" in page, path
            assert f"<code>{path}</code>" in page
    assert client.get(reverse("api_docs_of", args=["other"])).status_code == 404


def test_what_differs_from_other_services_is_told(client: Client) -> None:
    assert reverse("api_moving") in client.get(reverse("api_docs")).content.decode()
    page = client.get(reverse("api_moving")).content.decode()
    operations = {path for one in APIS.values() for path in one.get_openapi_schema()["paths"]}
    for service in moving.services():
        assert service["name"] in page
        for there, here in service["rows"]:
            assert escape(there) in page and escape(here) in page
            for path in re.findall(r"(?:GET|POST) (/[^\s;,?.]+)", here):
                assert f"/api/v1{path}" in operations, here
