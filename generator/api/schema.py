"""What an API says of itself: django-ninja's schema, with every key named by its scope."""

from __future__ import annotations

from typing import Any

from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from generator.api.auth import Key


class Described(OpenAPISchema):
    def operation_security(self, operation: Operation) -> list[dict[str, Any]] | None:
        """By header and scope: the class's name would make one of all."""
        keys = [one for one in operation.auth_callbacks if isinstance(one, Key)]
        for key in keys:
            about = {"type": "apiKey", "in": "header", "name": key.param_name}
            self.securitySchemes[key.title] = about | {"description": f"May “{key.scope}”."}
        return [{key.title: []} for key in keys] or None
