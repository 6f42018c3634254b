"""Webhooks leave a running studio by themselves, with the embedded broker and with Redis."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import redis

from tests.receiver import receiver, verified
from tests.servers import Studio, wait_for

ADD = """
from accounts.models import User
from generator.webhooks import services
from generator.webhooks.models import JOB_EVENTS
alice = User.objects.create_user("alice@example.com", "a long password")
services.send_test(services.add_endpoint(alice, {url!r}, JOB_EVENTS))
print("secret", services.secret_of(alice))
"""
STATE = """
from generator.webhooks.models import Delivery
print(*("state", *Delivery.objects.values_list("state", "attempts", "answer").get()))
"""


def _after(word: str, printed: str) -> list[str]:
    words = printed.split()
    return words[words.index(word) + 1 :]


@pytest.mark.parametrize("broker", ["embedded", "redis"])
def test_a_message_leaves_and_is_tried_again_by_itself(
    broker: str, start_studio: Callable[..., Studio], request: pytest.FixtureRequest
) -> None:
    environment = {}
    if broker == "redis":
        url = request.getfixturevalue("redis_url")
        redis.Redis.from_url(url).flushall()
        environment = {"REDIS_URL": url, "BROKER_URL": url}
    with receiver() as house:
        house.status = 503
        studio = start_studio(FETCH_ALLOW=house.netloc, **environment)
        printed = studio.manage("shell", "-v0", "-c", ADD.format(url=house.address))
        wait_for(lambda: len(house.messages) == 1, "the message")
        house.status = 204
        wait_for(lambda: len(house.messages) == 2, "the second attempt")
        wait_for(
            lambda: (
                _after("state", studio.manage("shell", "-v0", "-c", STATE))
                == ["delivered", "2", "204"]
            ),
            "the row",
        )
    first, second = house.messages
    assert first.body == second.body and json.loads(first.body)["type"] == "test"
    secret = _after("secret", printed)[0]
    for message in house.messages:
        verified(message.headers["Likeness-Signature"], message.body, secret)
    assert "Traceback" not in studio.printed()
