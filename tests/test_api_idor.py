"""Nobody reaches somebody else's rows through any operation of any API.

The operations are read from the addresses of the studio. One that is new has to be written into
`WAYS` (tests/idor_ways.py) before this file passes.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from accounts import keys
from accounts.models import ApiKey, User
from billing import ledger
from billing.models import Subscription
from generator.api.docs import APIS
from generator.api.tryiton import slots
from generator.assets.models import Asset
from generator.jobs.models import Generation, Training
from generator.portraits.models import PortraitModel
from generator.webhooks import services as webhooks
from tests import sheet_parts
from tests.api_parts import ALL, Program
from tests.conftest import signed_in
from tests.idor_ways import FILE, OPEN, WAYS, Way
from tests.job_parts import finish, png, ready_model, submit

pytestmark = pytest.mark.django_db
OF_ONE_ANSWER = {"X-Request-Id", "RateLimit", "RateLimit-Policy", "Date"}


# --- the operations there are ---------------------------------------------------------------------
@dataclass(frozen=True)
class Operation:
    api: str
    method: str
    path: str  # with "{id}"
    base: str  # "/api/v1"
    header: str

    @property
    def way(self) -> Way:
        return WAYS[self.api][f"{self.method} {self.path}"]

    def __str__(self) -> str:
        return f"{self.api} {self.method} {self.path}"


def _operations() -> Iterator[Operation]:
    for name, api in APIS.items():
        base = reverse(f"{api.urls_namespace}:openapi-json").removesuffix("/openapi.json")
        for path, methods in api.get_openapi_schema()["paths"].items():
            for method, said in methods.items():
                if f"{method} {path.removeprefix(base)}" in OPEN.get(name, []):
                    continue
                title = next(iter(said["security"][0]))  # one that needs no key ends here
                header = title.rpartition("-")[0]
                yield Operation(name, method, path.removeprefix(base), base, header)


OPERATIONS = list(_operations())
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


def _routes(patterns: list[Any], before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for one in patterns:
        if isinstance(one, URLResolver):
            yield from _routes(one.url_patterns, before + str(one.pattern))
        else:
            yield before + str(one.pattern), one


def _shape(path: str) -> str:
    """`/jobs/<uuid:id>` and `/jobs/{id}` alike."""
    parts = path.strip("/").split("/")
    return "/".join("*" if part.startswith(("<", "{")) else part for part in parts)


@pytest.mark.parametrize("name", sorted(APIS))
def test_every_address_of_an_api_is_in_the_matrix(name: str) -> None:
    base = reverse(f"{APIS[name].urls_namespace}:openapi-json").removesuffix("openapi.json")
    served = {
        _shape(route)
        for route, pattern in _routes(get_resolver().url_patterns)
        if f"/{route}".startswith(base) and pattern.name not in ("openapi-json", "api-root")
    }
    ways = [*WAYS[name], *OPEN.get(name, [])]
    known = {_shape(base + way.split(" ")[1].lstrip("/")) for way in ways}
    assert served == known
    asked = {f"{one.method} {one.path}" for one in OPERATIONS if one.api == name}
    assert asked == set(WAYS[name])


# --- people with rows -----------------------------------------------------------------------------
@dataclass
class Person:
    user: User
    rows: dict[str, str]  # "<model>": its id

    def secret(self, *scopes: str) -> str:
        return keys.create(self.user, name="a test", scopes=scopes or ALL)[1]


def _person(user: User) -> Person:
    model = ready_model(user, is_public=False)
    job = finish(submit(user, kind="image", portrait_model=model))
    face = Asset.objects.get(generation=finish(submit(user)))
    endpoint = webhooks.add_endpoint(user, "https://1.1.1.1/hook", ["training.failed"])
    return Person(
        user,
        {
            "<model>": str(model.pk),
            "<training>": str(Training.objects.get(portrait_model=model).pk),
            "<job>": str(job.pk),
            "<waiting>": str(submit(user, kind="image", portrait_model=model).pk),
            "<picture>": str(Asset.objects.get(generation=job).pk),
            "<face>": str(face.pk),
            "<reference>": str(model.reference_id),
            "<endpoint>": str(endpoint.pk),
            "<delivery>": str(webhooks.send_test(endpoint).pk),
            "<slot>": str(slots.listed(user)[-1].pk),
            "<view>": sheet_parts.give(model, sheet_parts.sheet(seed=user.pk))[0].name,
        },
    )


@pytest.fixture
def ann(alice: User) -> Person:
    return _person(alice)


@pytest.fixture
def eve(charlie: User) -> Person:
    """May everything that Alice may, and has rows of her own."""
    Subscription.objects.create(user=charlie, plan="macro")
    return _person(charlie)


def _filled(sent: Any, rows: dict[str, str]) -> Any:
    text = json.dumps(sent)
    for name, id in rows.items():
        text = text.replace(name, id)
    return json.loads(text)


def _ask(operation: Operation, secret: str, rows: dict[str, str], *, id: str = "") -> HttpResponse:
    way = operation.way
    path = operation.path.replace("{id}", id or rows.get(way.id, ""))
    asked = Program(secret, base=operation.base, header=operation.header)
    if way.body == FILE:
        file = SimpleUploadedFile("me.png", png(side=300), "image/png")
        return asked.client.post(asked.base + path, {"file": file}, headers=asked.headers)
    if way.query:
        path += f"?{_filled(way.query, rows)}"
    with override_settings(ENGINE_IMAGE=way.engine):
        return asked(operation.method, path, _filled(way.body, rows) if way.body else None)


def _content(answer: HttpResponse) -> bytes:
    if getattr(answer, "is_async", False):
        return b""  # an event stream; its status and headers are told before
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


def _said(answer: HttpResponse) -> tuple[Any, ...]:
    """What an answer tells, without what is another for every answer."""
    text = _content(answer).decode().replace(answer.get("X-Request-Id", "-"), "")
    headers = {name: value for name, value in answer.items() if name not in OF_ONE_ANSWER}
    return answer.status_code, text, headers


class Asked:
    """An answer, and the statements it took, without their values."""

    def __init__(
        self, operation: Operation, secret: str, rows: dict[str, str], id: str = ""
    ) -> None:
        self.statements: list[str] = []
        with connection.execute_wrapper(self._heard):
            self.answer = _ask(operation, secret, rows, id=id)
            self.said = _said(self.answer)

    def _heard(self, execute: Any, sql: str, values: Any, many: bool, context: Any) -> Any:
        self.statements.append(re.sub(r'_x\d+"$', '"', sql))  # savepoints are numbered
        return execute(sql, values, many, context)


def _state() -> tuple[Any, ...]:
    """All that the operations could change."""
    return (
        sorted(PortraitModel.objects.values_list("pk", "name", "is_public")),
        sorted(Asset.objects.values_list("pk", "deleted_at")),
        sorted(Generation.objects.values_list("pk", "state")),
        sorted(Training.objects.values_list("pk", "state")),
        [ledger.balance(user) for user in User.objects.order_by("pk")],
    )


# --- who may --------------------------------------------------------------------------------------
@each_operation
def test_only_a_working_key_of_the_scope_may(operation: Operation, ann: Person) -> None:
    revoked, dead = keys.create(ann.user, name="old", scopes=ALL)
    keys.revoke(revoked)
    before = _state()
    unknown = {name: str(uuid.uuid4()) for name in ann.rows}
    for secret in ("", "lk_nobodys", dead):
        answers = [_ask(operation, secret, rows) for rows in (ann.rows, unknown)]
        assert {one.status_code for one in answers} <= {401, 403}, secret
        assert _said(answers[0]) == _said(answers[1])
    others = [scope for scope in ApiKey.Scope.values if scope != operation.way.scope]
    assert _ask(operation, ann.secret(*others), ann.rows).status_code == 403
    User.objects.filter(pk=ann.user.pk).update(is_active=False)
    assert _ask(operation, ann.secret(), ann.rows).status_code in (401, 403)
    User.objects.filter(pk=ann.user.pk).update(is_active=True)
    assert _state() == before
    # and with that scope alone it is answered, or all of the above refused nonsense
    answer = _ask(operation, ann.secret(operation.way.scope), ann.rows)
    assert answer.status_code == operation.way.status, _content(answer)


@each_operation
def test_a_session_is_no_key(operation: Operation, alice: User) -> None:
    client = signed_in(alice)
    path = operation.base + operation.path.replace("{id}", str(uuid.uuid4()))
    answer = getattr(client, operation.method)(path, {}, content_type="application/json")
    assert answer.status_code in (401, 403)


# --- whose rows -----------------------------------------------------------------------------------
@each_operation
def test_foreign_and_unknown_rows_are_told_alike(
    operation: Operation, ann: Person, eve: Person
) -> None:
    """By the same statements to the database as well, so that no clock tells them apart.

    How long they take is what `benchmarks/strangers.py` shows.
    """
    before, secret, way = _state(), eve.secret(), operation.way
    nobody = str(uuid.uuid4())
    Program(secret)("get", "/account")  # the first request writes down when the key was used
    for name in eve.rows:
        if name != way.id and name not in way.names:
            continue
        theirs = Asked(operation, secret, eve.rows | {name: ann.rows[name]})
        nobodys = Asked(operation, secret, eve.rows | {name: nobody})
        assert 400 <= theirs.answer.status_code < 500, (name, theirs.said)
        assert theirs.said == nobodys.said, name
        assert theirs.statements == nobodys.statements and theirs.statements, name
    if way.id:  # a picture's id where a job's is wanted, and so on
        nobodys = Asked(operation, secret, eve.rows, nobody)
        for name, id in ann.rows.items():
            if name == "<view>":  # a name, which no address of a program takes
                continue
            theirs = Asked(operation, secret, eve.rows, id)
            assert theirs.said == nobodys.said, name
            assert theirs.statements == nobodys.statements, name
    assert _state() == before
    own = _content(_ask(operation, secret, eve.rows)).decode(errors="replace")
    assert not [name for name, id in ann.rows.items() if id in own]
    assert ann.user.email not in own


# --- pages ----------------------------------------------------------------------------------------
def _pages(rows: dict[str, str]) -> Iterator[str]:
    """Every page's address, with each of these rows where it takes an id."""
    for route, pattern in _routes(get_resolver().url_patterns):
        if route.startswith(("api/v", "admin/")) or not pattern.name:
            continue
        taken = list(pattern.pattern.converters)
        for id in rows.values() if taken else [""]:
            try:
                yield reverse(pattern.name, kwargs=dict.fromkeys(taken, id))
            except NoReverseMatch:  # takes something else than an id
                continue


def test_a_key_opens_no_page(ann: Person, client: Client) -> None:
    secret = ann.secret()
    pages = sorted(set(_pages(ann.rows)))
    assert len(pages) > 50
    for page in pages:
        guest = client.get(page)
        for headers in ({"X-API-Key": secret}, {"Authorization": f"Bearer {secret}"}):
            answer = client.get(page, headers=headers)
            assert answer.status_code == guest.status_code, page
            assert answer.get("Location") == guest.get("Location"), page
        client.cookies.clear()
    assert client.get(reverse("account")).status_code == 302
