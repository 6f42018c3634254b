"""Webhooks for programs: where messages go, what became of them, and sending them again."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from ninja import Field, Router, Schema, Status

from generator.api.auth import owner
from generator.api.own import GENERATE, READ, Page, answers, page_of
from generator.webhooks import services
from generator.webhooks.models import JOB_EVENTS, Delivery, WebhookEndpoint
from generator.workstation.history import cursor_of, older

router = Router(tags=["webhooks"])
PAGE = 50


class EndpointIn(Schema):
    url: str = Field(description="https://…")
    events: list[str] = Field(JOB_EVENTS, max_length=20, description=", ".join(JOB_EVENTS))


class EndpointOut(Schema):
    """Where messages go."""

    id: UUID
    url: str
    events: list[str]
    is_enabled: bool
    disabled_because: str
    created_at: datetime


class EndpointPage(Page):
    items: list[EndpointOut]


class DeliveryOut(Schema):
    """One message."""

    id: UUID
    url: str
    event: str
    state: str = Field(description='"pending", "delivered" or "failed"')
    attempts: int
    answer: int | None = Field(None, description="The last HTTP status.")
    error: str
    body: str = Field(description="What was sent and signed.")
    created_at: datetime
    delivered_at: datetime | None = None


class DeliveryPage(Page):
    items: list[DeliveryOut]


class SecretOut(Schema):
    secret: str = Field(description="Likeness-Signature: t=<unix>,v1=<hmac-sha256 of t.body>")


@router.get("/webhooks", auth=READ, response=answers(EndpointPage), summary="Endpoints")
def endpoint_list(request: HttpRequest) -> Any:
    return page_of(_endpoints(request), "")


@router.post(
    "/webhooks",
    auth=GENERATE,
    response=answers(EndpointOut, 400, 409, 422, status=201),
    summary="Add an endpoint",
)
def endpoint_create(request: HttpRequest, body: EndpointIn) -> Any:
    return Status(201, services.add_endpoint(owner(request), body.url, body.events))


@router.get(
    "/webhooks/secret", auth=GENERATE, response=answers(SecretOut), summary="What signs messages"
)
def endpoint_secret(request: HttpRequest) -> Any:
    return {"secret": services.secret_of(owner(request))}


@router.get(
    "/webhooks/deliveries", auth=READ, response=answers(DeliveryPage, 422), summary="The log"
)
def delivery_list(request: HttpRequest, before: str = "") -> Any:
    found = Delivery.objects.filter(owner=owner(request))
    rows = list(older(found, before).order_by("-created_at", "-id")[: PAGE + 1])
    more = cursor_of(rows[PAGE - 1]) if len(rows) > PAGE else ""
    return page_of(rows[:PAGE], more)


@router.post(
    "/webhooks/deliveries/{id}/send-again",
    auth=GENERATE,
    response=answers(DeliveryOut, 404, 409, 422, status=202),
    summary="The same message once more",
)
def delivery_again(request: HttpRequest, id: UUID) -> Any:
    mine = Delivery.objects.filter(owner=owner(request)).select_related("owner")
    found = get_object_or_404(mine, id=id)
    services.send_again(found)
    found.refresh_from_db()
    return Status(202, found)


@router.post(
    "/webhooks/{id}/test",
    auth=GENERATE,
    response=answers(DeliveryOut, 404, 409, 422, status=202),
    summary="Send a test",
)
def endpoint_test(request: HttpRequest, id: UUID) -> Any:
    return Status(202, services.send_test(_endpoint(request, id)))


@router.delete(
    "/webhooks/{id}",
    auth=GENERATE,
    response=answers(None, 404, 422, status=204),
    summary="Delete an endpoint",
)
def endpoint_delete(request: HttpRequest, id: UUID) -> Any:
    services.delete_endpoint(_endpoint(request, id))
    return Status(204, None)


def _endpoints(request: HttpRequest) -> list[WebhookEndpoint]:
    return list(WebhookEndpoint.objects.filter(owner=owner(request)))


def _endpoint(request: HttpRequest, id: UUID) -> WebhookEndpoint:
    mine = WebhookEndpoint.objects.filter(owner=owner(request)).select_related("owner")
    return get_object_or_404(mine, id=id)
