"""What an API says of itself: django-ninja's schema, with every key named by its scope.

And with links: where an answer names something that was made, the operations that take its id.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from generator.api.auth import Key


class Described(OpenAPISchema):
    def __init__(self, api: NinjaAPI, path_prefix: str) -> None:
        super().__init__(api, path_prefix)
        homes = dict(self._homes())
        for methods in self["paths"].values():
            for answer in methods.get("post", {}).get("responses", {}).values():
                if links := self._links(_schema_of(answer), homes):
                    answer["links"] = links

    def operation_security(self, operation: Operation) -> list[dict[str, Any]] | None:
        """By header and scope: the class's name would make one of all."""
        keys = [one for one in operation.auth_callbacks if isinstance(one, Key)]
        for key in keys:
            about = {"type": "apiKey", "in": "header", "name": key.param_name}
            self.securitySchemes[key.title] = about | {"description": f"May “{key.scope}”."}
        return [{key.title: []} for key in keys] or None

    def _homes(self) -> Iterator[tuple[str, str]]:
        """What is listed under an address, and that address, where things are taken by their id."""
        for path, methods in self["paths"].items():
            if any(other.startswith(f"{path}/{{id}}") for other in self["paths"]):
                page = _schema_of(methods.get("get", {}).get("responses", {}).get(200, {}))
                items = self.schemas.get(page, {}).get("properties", {}).get("items", {})
                yield _name(items.get("items", {})), path

    def _links(self, made: str, homes: dict[str, str]) -> dict[str, Any]:
        home, field = homes.get(made), "id"
        for path in self["paths"]:  # `profile_id` is taken by `/profiles/{id}`
            place, _, rest = path.partition("s/{id}")
            named = f"{place.rpartition('/')[2]}_id"
            if rest != path and named in self.schemas.get(made, {}).get("properties", {}):
                home, field = f"{place}s", named
        return {
            operation["operationId"]: {
                "operationId": operation["operationId"],
                "parameters": {"id": f"$response.body#/{field}"},
            }
            for path, methods in self["paths"].items()
            if home and path.startswith(f"{home}/{{id}}")
            for operation in methods.values()
        }


def _schema_of(answer: dict[str, Any]) -> str:
    """The name of what it carries; "" for nothing, and for what has no name."""
    return _name(answer.get("content", {}).get("application/json", {}).get("schema", {}))


def _name(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]
