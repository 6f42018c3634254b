"""The doorbell's wires: nothing in an embedded studio, Redis or RabbitMQ in production."""

from __future__ import annotations

import importlib
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings
from dramatiq import Broker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import AgeLimit, Middleware, Retries, ShutdownNotifications, TimeLimit

QUEUES = {
    "training": "trainings", "generation": "generations", "photoset": "photosets",
    "delivery": "webhooks",
}  # fmt: skip
ACTORS = {
    "training": "run_training", "generation": "run_generation", "photoset": "run_photo_set",
    "delivery": "send_deliveries",
}  # fmt: skip
THREADS = {"webhooks": 4}  # one is enough for an engine; servers of other people may hang
TIMEOUT_S = 2.0  # a dead Redis costs a request no more than this


@cache
def broker() -> Broker:
    """This process's broker. Messages are never retried: trying again is the sweeper's."""
    # Middleware that answers what the actors' options mean; Dramatiq's own defaults would retry
    # 20 times.
    middleware: list[Middleware] = [
        AgeLimit(),
        TimeLimit(),
        ShutdownNotifications(),
        Retries(max_retries=0),
    ]
    if settings.IS_EMBEDDED:
        return StubBroker(middleware=middleware)
    if urlsplit(settings.BROKER_URL).scheme.startswith("amqp"):
        # Needs `pip install pika`; an installation without RabbitMQ does without it.
        rabbitmq = importlib.import_module("dramatiq.brokers.rabbitmq")
        made: Broker = rabbitmq.RabbitmqBroker(url=settings.BROKER_URL, middleware=middleware)
        return made
    return RedisBroker(  # type: ignore[no-untyped-call]
        url=f"{settings.BROKER_URL}{'&' if '?' in settings.BROKER_URL else '?'}"
        f"socket_connect_timeout={TIMEOUT_S}&socket_timeout={TIMEOUT_S}",
        middleware=middleware,
    )
