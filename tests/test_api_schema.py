"""Every operation of every API, asked with what its schema allows and with what it forbids."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
from django.urls import reverse
from schemathesis import checks

from accounts.models import User
from generator.api.docs import APIS
from tests import pictures, servers
from tests.api_parts import Program, program
from tests.contract_parts import new_account
from tests.servers import BASE_DIR, Studio

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,"
    "response_schema_conformance"
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio that answers as often as it is asked."""
    folder = tmp_path_factory.mktemp("patient")
    with servers.studio(folder, PLANS_FILE=servers.unlimited_plans(folder)) as studio:
        yield studio


@pytest.fixture
def secret(house: Studio) -> str:
    """Somebody's key to it. What others made there is not theirs."""
    return new_account(house).key


def address(name: str) -> str:
    """Where an API describes itself."""
    return reverse(f"{APIS[name].urls_namespace}:openapi-json")


def header(name: str) -> str:
    """Under which it takes a key."""
    schemes = APIS[name].get_openapi_schema()["components"]["securitySchemes"]
    return str(next(iter(schemes.values()))["name"])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(APIS))
def test_whatever_is_sent_is_answered_as_documented(
    name: str, house: Studio, secret: str, tmp_path: Path
) -> None:
    """schemathesis: every edge of the schema, from within and from beyond."""
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            Path(sys.executable).with_name("st"), "run", house.address + address(name),
            "--header", f"{header(name)}: {secret}", "--checks", CHECKS,
            "--phases", "coverage", "--generation-deterministic", "--no-shrink",
            "--no-color", "--continue-on-failure", "--request-timeout", "20",
            "--report-json-path", report,
        ],
        cwd=tmp_path, text=True, capture_output=True, check=False,
    )  # fmt: skip
    calls = re.search(r"(\d+) generated", done.stdout)
    assert calls, done.stdout + done.stderr
    print(f"{name}: {calls[1]} calls")
    assert int(calls[1]) > 10 * len(APIS[name].get_openapi_schema()["paths"])
    assert done.returncode == 0, done.stdout


def test_what_is_made_is_linked_with_what_takes_its_id() -> None:
    paths = APIS["v1"].get_openapi_schema()["paths"]
    made = paths["/api/v1/webhooks"]["post"]["responses"][201]["links"]
    taken = paths["/api/v1/webhooks/{id}"]["delete"]["operationId"]
    assert made[taken] == {"operationId": taken, "parameters": {"id": "$response.body#/id"}}
    paths = APIS["phota"].get_openapi_schema()["paths"]
    made = paths["/v1/phota/profiles/add"]["post"]["responses"][200]["links"]
    taken = paths["/v1/phota/profiles/{id}/status"]["get"]["operationId"]
    assert made[taken]["parameters"] == {"id": "$response.body#/profile_id"}
    paths = APIS["tryiton"].get_openapi_schema()["paths"]
    made = paths["/api/key/train-model"]["post"]["responses"][200]["links"]
    taken = paths["/api/key/results"]["get"]["operationId"]
    assert made[taken]["parameters"] == {"modelId": "$response.body#/modelId"}


PHOTO = (BASE_DIR / "examples" / "photos" / "person-1.jpg").read_bytes()
# What chance would not write: so that there is something to be looked at, changed and deleted.
GOOD: dict[str, dict[str, Any]] = {
    "v1": {
        "POST /api/v1/portrait-models": {"name": "Ada", "image": b64encode(PHOTO).decode()},
        "POST /api/v1/assets": {"file": pictures.encoded(pictures.scene(), "PNG")},
        "POST /api/v1/webhooks": {"url": "https://1.1.1.1/hook"},
        "POST /api/v1/faces": {"age": 30},
    },
    "phota": {"POST /v1/phota/profiles/add": {"image_urls": ["https://1.1.1.1/a.jpg"]}},
    "tryiton": {
        "POST /api/key/upload-image": {"file": PHOTO},
        "POST /api/key/train-model": {
            "gender": "man",
            "styles": ["noir-man"],
            "customizations": "glasses, no beard",
            "imageUrls": [b64encode(PHOTO).decode()],
        },
        "POST /api/key/recreate": {"category": "clothes", "prompt": "a red coat"},
    },
}  # fmt: skip
TAKERS = {"v1": "{id}", "phota": "{id}", "tryiton": "/re"}  # results and recreate
# A stream of events lasts as long as its job; the others cannot be good without a trained model.
LEFT_OUT = "/(events|images|videos|edits|edit|enhancements|enhance|restyles|remix|variations)$"
STATEFUL_CHECKS = [
    getattr(checks, name)
    for name in (*CHECKS.split(","), "use_after_free", "ensure_resource_availability")
]
SETTINGS = hypothesis.settings(
    max_examples=20,
    stateful_step_count=8,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(GOOD))
def test_whatever_is_done_with_what_was_made_is_answered_as_documented(
    name: str, house: Studio, secret: str
) -> None:
    """schemathesis, stateful: made, then looked at, changed, canceled, deleted in any order."""
    told = schemathesis.openapi.from_url(house.address + address(name))
    schema = told.exclude(path_regex=LEFT_OUT)
    schema.config.generation.update(modes=[schemathesis.GenerationMode.POSITIVE])
    schema.config.phases.stateful.inference.algorithms = []  # the links that are written
    answered: Counter[tuple[str, int]] = Counter()
    headers = {header(name): secret}
    unused = models(house, headers) if name == "tryiton" else []

    class Journey(schema.as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"timeout": 60}  # a training runs beside it

        def before_call(self, case: Any) -> None:
            case.headers.update(headers)
            if good := GOOD[name].get(case.operation.label):
                case.body = good | linked(case.body)
            if case.operation.label.endswith("/train-model"):
                case.body["modelId"] = unused[-1]
                case.headers["X-Dry-Run"] = "1"  # it could be trained once, and steps are repeated

        def validate_response(self, response: Any, case: Any, **options: Any) -> None:
            answered[case.operation.label, response.status_code] += 1
            case.validate_response(
                response, checks=STATEFUL_CHECKS, transport_kwargs=options, recorder=self.recorder
            )

    Journey.run(settings=SETTINGS)
    taken = {label for label, status in answered if TAKERS[name] in label and status < 300}
    print(f"{name}: {answered.total()} calls: {by_status(answered)}; made and taken: {len(taken)}")
    assert answered.total() > 50, answered
    assert len(taken) >= {"v1": 3, "phota": 1, "tryiton": 2}[name], taken
    assert not [one for one in answered if one[1] >= 500]


def linked(body: Any) -> dict[str, Any]:
    """What an answer before it named, and is there at once."""
    url = body.get("imageUrl", "") if isinstance(body, dict) else ""
    return {"imageUrl": url} if url and "/api/key/pictures/" not in url else {}


def models(house: Studio, headers: dict[str, str]) -> list[str]:
    answer = httpx.get(house.address + "/api/key/models", headers=headers)
    return [one["id"] for one in answer.raise_for_status().json()]


def by_status(answered: Counter[tuple[str, int]]) -> dict[int, int]:
    found: Counter[int] = Counter()
    for (_, status), times in answered.items():
        found[status] += times
    return dict(sorted(found.items()))


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
