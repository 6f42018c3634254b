"""Every operation of every API, asked with what its schema allows and with what it forbids."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.urls import reverse

from accounts.models import User
from generator.api.docs import APIS
from tests.api_parts import Program, program
from tests.servers import BASE_DIR, Studio

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance"
)
EMAIL = "schema@example.com"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(APIS))
def test_whatever_is_sent_is_answered_as_documented(
    name: str, start_studio: Callable[..., Studio], tmp_path: Path
) -> None:
    """schemathesis: every edge of the schema, from within and from beyond."""
    plans = (BASE_DIR / "billing" / "plans.toml").read_text()
    generous = tmp_path / "plans.toml"
    generous.write_text(re.sub(r"(?m)^api_requests = \d+$", "api_requests = 1000000", plans))
    house = start_studio(PLANS_FILE=str(generous), DEFAULT_PLAN="mega")
    house.session_for(EMAIL)
    secret = house.manage("api_key", "create", EMAIL).strip()
    schema = APIS[name].get_openapi_schema()
    header = next(iter(schema["components"]["securitySchemes"].values()))["name"]
    path = reverse(f"{APIS[name].urls_namespace}:openapi-json")
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            Path(sys.executable).with_name("st"), "run", house.address + path,
            "--header", f"{header}: {secret}", "--checks", CHECKS,
            "--phases", "coverage", "--generation-deterministic", "--no-shrink",
            "--no-color", "--continue-on-failure", "--request-timeout", "20",
            "--report-json-path", report,
        ],
        cwd=tmp_path, text=True, capture_output=True, check=False,
    )  # fmt: skip
    calls = re.search(r"(\d+) generated", done.stdout)
    assert calls, done.stdout + done.stderr
    print(f"{name}: {calls[1]} calls")
    assert int(calls[1]) > 10 * len(schema["paths"])
    assert done.returncode == 0, done.stdout


BROKEN = (
    b"{",
    b"[]",
    b"\xff\xfe",
    b'{"prompt": NaN}',
    b'{"prompt": "a\\u0000b"}',
    b'{"prompt": "\\ud800"}',
    b'{"count": 1e999}',
    b'{"count": 1' + b"0" * 5000 + b"}",
    b'{"portrait_model_ids": ' + b"[" * 100_000,
)


@pytest.mark.django_db
@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_body_is_told_in_words(body: bytes, alice: User) -> None:
    ask = program(alice)
    for path in ("/images", "/faces", "/portrait-models", "/estimate"):
        answer = ask.client.post(
            f"/api/v1{path}", body, content_type="application/json", headers=ask.headers
        )
        assert answer.status_code in (400, 422), (path, answer.content[:300])
        assert answer.json()["error"]["message"]


@pytest.mark.django_db
@pytest.mark.parametrize("number", [10**30, -(10**30), 2**63, 0, -1])
def test_numbers_of_any_size_are_told_in_words(number: int, alice: User) -> None:
    ask = program(alice)
    fields = {
        "/images": ("count", "best_of", "likeness_floor", "seed"),
        "/videos": ("seconds",),
        "/faces": ("age", "height_cm", "weight_kg", "count"),
        "/estimate": ("count", "seconds"),
    }
    for path, names in fields.items():
        for name in names:
            body = json.dumps({"kind": "video", "prompt": "at the beach", name: number})
            answer = ask("post", path, body)
            assert answer.status_code < 500, (path, name, answer.content[:300])


@pytest.mark.django_db
@pytest.mark.parametrize(
    "value", ["%00", "%ED%A0%80", "9" * 400, "0001-01-01T00:00:00+23:59_" + "0" * 32]
)
def test_a_broken_address_is_told_in_words(value: str, alice: User) -> None:
    ask: Program = program(alice)
    for path in (
        "/jobs?state=",
        "/jobs?before=",
        "/assets?kind=",
        "/assets?before=",
        "/styles?gender=",
    ):
        answer = ask("get", path + value.replace("+", "%2B"))
        assert answer.status_code < 500, (path, answer.content[:300])
