"""`/api/docs/`: every operation with a request that runs, drawn from the OpenAPI schema."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.text import slugify
from django.views.decorators.http import require_safe
from ninja import NinjaAPI

from generator.api.own import api as own
from generator.api.phota.api import api as phota
from generator.api.tryiton.own import api as tryiton

APIS: dict[str, NinjaAPI] = {"v1": own, "phota": phota, "tryiton": tryiton}
SAMPLE_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@dataclass(frozen=True)
class Parameter:
    name: str
    kind: str
    about: str
    is_required: bool


@dataclass(frozen=True)
class Operation:
    anchor: str
    method: str
    path: str
    title: str
    about: str
    scope: str
    parameters: list[Parameter]
    fields: list[Parameter]
    answers: list[tuple[str, str]]
    curl: str
    python: str


@require_safe
def docs(request: HttpRequest, name: str = "v1") -> HttpResponse:
    api = APIS.get(name)
    if api is None:
        raise Http404
    schema = api.get_openapi_schema()
    context = {
        "title": api.title,
        "description": api.description,
        "groups": _groups(schema),
        "names": [(key, one.title) for key, one in APIS.items()],
        "name": name,
        "schema_url": reverse(f"{api.urls_namespace}:openapi-json"),
    }
    return render(request, "generator/api_docs.html", context)


def _groups(schema: dict[str, Any]) -> list[tuple[str, list[Operation]]]:
    """By tag, in the order of the routers."""
    found: dict[str, list[Operation]] = {}
    for path, methods in schema["paths"].items():
        for method, said in methods.items():
            tag = (said.get("tags") or ["operations"])[0]
            found.setdefault(tag, []).append(_operation(schema, path, method, said))
    return list(found.items())


def _operation(schema: dict[str, Any], path: str, method: str, said: dict[str, Any]) -> Operation:
    header, _, scope = next(iter(said.get("security", [{}])[0]), "").rpartition("-")
    content = said.get("requestBody", {}).get("content", {})
    fields = [one for kind in content.values() for one in _fields(schema, kind["schema"])]
    is_file = "multipart/form-data" in content
    sample = {one.name: _sample(one) for one in fields if one.is_required and not is_file}
    return Operation(
        anchor=slugify(f"{method} {path.replace('/', ' ')}"),
        method=method.upper(),
        path=path,
        title=said.get("summary", ""),
        about=said.get("description", ""),
        scope=scope,
        parameters=[
            Parameter(one["name"], _kind(one["schema"]), "", one.get("required", False))
            for one in said.get("parameters", [])
        ],
        fields=fields,
        answers=[(code, one["description"]) for code, one in said["responses"].items()],
        curl=_curl(method, path, header or "X-API-Key", sample, is_file=is_file),
        python=_python(method, path, header or "X-API-Key", sample, is_file=is_file),
    )


def _fields(schema: dict[str, Any], body: dict[str, Any]) -> list[Parameter]:
    body = _resolved(schema, body)
    required = body.get("required", [])
    return [
        Parameter(name, _kind(said), said.get("description", ""), name in required)
        for name, said in body.get("properties", {}).items()
    ]


def _resolved(schema: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    reference = body.get("$ref")
    if not reference:
        return body
    found: dict[str, Any] = schema["components"]["schemas"][reference.rsplit("/", 1)[-1]]
    return found


def _kind(said: dict[str, Any]) -> str:
    if "anyOf" in said:
        return " or ".join(_kind(one) for one in said["anyOf"])
    if said.get("type") == "array":
        return f"list of {_kind(said.get('items', {}))}"
    return str(said.get("format") or said.get("type") or said.get("$ref", "").rsplit("/", 1)[-1])


def _sample(field: Parameter) -> Any:
    samples = {"integer": 1, "number": 1, "boolean": True, "uuid": SAMPLE_ID}
    if field.name in ("image", "style_picture"):
        return SAMPLE_ID
    if field.kind.startswith("list of"):
        return []
    words = {"name": "Ada", "prompt": "in the snow", "kind": "image"}
    return samples.get(field.kind, words.get(field.name, "…"))


def _address(path: str) -> str:
    return f"{settings.SITE_URL}{path.replace('{id}', SAMPLE_ID)}"


def _curl(method: str, path: str, header: str, sample: dict[str, Any], *, is_file: bool) -> str:
    lines = [f"curl -X {method.upper()} {_address(path)}", f'-H "{header}: $KEY"']
    if is_file:
        lines.append("-F file=@me.jpg")
    elif sample:
        lines += ['-H "Content-Type: application/json"', f"-d '{json.dumps(sample)}'"]
    return " \\\n  ".join(lines)


def _python(method: str, path: str, header: str, sample: dict[str, Any], *, is_file: bool) -> str:
    more = ', files={"file": open("me.jpg", "rb")}' if is_file else ""
    if sample:
        more = f", json={sample!r}"
    return (
        "import httpx, os\n\n"
        f'headers = {{"{header}": os.environ["KEY"]}}\n'
        f'answer = httpx.{method}("{_address(path)}", headers=headers{more})\n'
        "print(answer.status_code, answer.text)"
    )
