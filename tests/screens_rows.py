"""Fills an empty studio with people, models and pictures in every state, for tests/screens_list.py.

manage.py shell -c "from tests import screens_rows; screens_rows.fill_and_tell()"
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.usersessions.models import UserSession
from django.contrib.auth import login
from django.contrib.sessions.backends.db import SessionStore
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from PIL import Image

from accounts.models import User
from billing import ledger
from billing.models import Subscription
from generator.assets.drawn import store_generated, store_png
from generator.assets.models import Asset
from generator.engine.attributes import Attributes
from generator.engine.interface import FaceScore, GeneratedImage
from generator.engine.process import EngineProcess
from generator.engine.production.card import View
from generator.jobs.models import Appearance, Generation, Training
from generator.library import services as library
from generator.portraits.models import PortraitModel
from generator.webhooks import services as webhooks
from generator.webhooks.models import JOB_EVENTS, Delivery, WebhookEndpoint
from tests import sheet_parts
from tests.sitters import Sitter, faced, learnt, painted

SEEDS = (11, 50, 46, 26, 7)  # as their names sound: women, then men, then a woman
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1",
)
SPENT = (
    (16, "4 pictures: at the beach, smiling, golden light"),
    (16, "4 pictures: in a cosy cafe, green sweater"),
    (20, "Training of Nova"),
    (4, "2 pictures: a woman, 34, short hair"),
)
DELETED = 8
LEARNT = 2  # those whose pictures are shown; the others are a face only


def sitters(seeds: Sequence[int], *, with_engine: bool) -> list[Sitter]:
    if not with_engine:
        return [painted(seed) for seed in seeds]
    with EngineProcess("miniature") as engine:
        models = [learnt(engine, seed) for seed in seeds[:LEARNT]]
        return models + [faced(engine, seed) for seed in seeds[LEARNT:]]


def fill_and_tell() -> None:
    """`fill`, with painted people, for another process: the last line printed is its answer."""
    print(json.dumps(fill(sitters(SEEDS, with_engine=False))))


def fill(people: Sequence[Sitter]) -> dict[str, str]:
    """The session keys of alice, bob, nina, carol and dora, and the ids that screens' paths name.

    Alice: two ready models, one in training, one that failed, faces. Bob: at his free plan's cap.
    Nina: nothing yet. Carol: one public model, and a statement. Dora: what may be deleted.
    """
    alice = _person("alice", plan="macro", is_staff=True)
    bob, nina, carol = (_person(name, plan="nano") for name in ("bob", "nina", "carol"))
    ada, mira, theo, jun, nova = people
    public = _model(carol, "Nova", nova)
    _model(bob, "Solo", jun)
    _keys(bob)
    failed = _model(alice, "Jun", jun, is_ready=False)
    waiting = _model(alice, "Theo", theo, is_ready=False)
    other = _model(alice, "Mira", mira)
    first = _model(
        alice, "Ada", ada,
        description="Calm, always on the move.",
        tiktok_url="https://www.tiktok.com/@ada",
        instagram_url="https://www.instagram.com/ada",
    )  # fmt: skip
    sheet_parts.give(first, _views(ada))
    _trainings(waiting, failed, theo)
    for model, sitter in ((other, mira), (first, ada)):
        for age, (prompt, pictures) in enumerate(reversed(sitter.drawn)):
            made = _generation(model, prompt, pictures, minutes=140 - 25 * age - (model is first))
    _unfinished(first, ada)
    faces, _ = _faces(alice, people), _faces(bob, people[:1])
    rows = {"model": first, "waiting": waiting, "public": public, "generation": made,
            "faces": faces, "face": faces.assets.get(index=1)}  # fmt: skip
    rows |= _shelved(alice, made)
    rows["delivery"] = _webhooks(alice)
    rows["bobs_face"] = Asset.objects.get(owner=bob, kind="face")
    _spent(carol)
    dora = _deleting(mira)
    people_in = (alice, bob, nina, carol, dora)
    keys = {user.email.partition("@")[0]: _session(user) for user in people_in}
    return keys | {name: str(row.pk) for name, row in rows.items()}


def _deleting(sitter: Sitter) -> User:
    """Somebody with more pictures than tests delete."""
    dora = _person("dora", plan="micro")
    model = _model(dora, "Mira", sitter)
    for prompt, pictures in DELETED * list(sitter.drawn):
        _generation(model, prompt, pictures[:1], minutes=30)
    return dora


def _person(name: str, *, plan: str, is_staff: bool = False) -> User:
    user = User.objects.create_user(f"{name}@example.com", "a long password", is_staff=is_staff)
    Subscription.objects.create(user=user, plan=plan)
    with transaction.atomic():
        ledger.locked(user)
    return user


def _spent(user: User) -> None:
    """A statement with something of every kind."""
    with transaction.atomic():
        subscription = ledger.locked(user)
        ledger.purchase(subscription, 500, key="stripe:pi_1:purchase", reason="500 credits bought")
        for number, (credits, words) in enumerate(SPENT):
            ledger.charge(subscription, credits, key=f"generation:{number}:charge", reason=words)
    ledger.refund("generation:1", amount=4, reason="Returned in part: gave fewer pictures")
    ledger.refund("generation:2", reason="Returned: the training did not finish")


def _webhooks(owner: User) -> Delivery:
    """One endpoint that works, one that was turned off, and a log with every state."""
    works, off = (
        WebhookEndpoint.objects.create(owner=owner, url=f"https://{host}", events=events)
        for host, events in (
            ("studio.example.com/likeness", JOB_EVENTS[:2] + JOB_EVENTS[3:5]),
            ("old-shop.example.net/api/v2/hooks/likeness?shop=berlin", JOB_EVENTS[3:4]),
        )
    )
    for endpoint in (works, off):
        webhooks.send_test(endpoint)
    webhooks.disable(off, because="Nothing arrived there for 3 days.")
    now = timezone.now()
    webhooks.announce(Training.objects.filter(owner=owner, state="failed")[0])
    webhooks.announce(Generation.objects.filter(owner=owner, state="succeeded")[0])
    Delivery.objects.filter(endpoint=off).update(attempts=8, answer=500)
    Delivery.objects.filter(event="test", endpoint=works).update(
        state="delivered", attempts=1, answer=204, delivered_at=now
    )
    Delivery.objects.filter(event="training.failed").update(
        attempts=3, answer=503, next_at=now + timedelta(minutes=4)
    )
    made = Delivery.objects.get(event="generation.succeeded")
    Delivery.objects.filter(pk=made.pk).update(
        state="delivered", attempts=2, answer=200, delivered_at=now
    )
    return made


def _keys(user: User) -> None:
    """A passkey, an authenticator app and recovery codes."""
    credential = {"clientExtensionResults": {"credProps": {"rk": True}}}
    Authenticator.objects.create(
        user=user, type="webauthn", data={"name": "My phone", "credential": credential}
    )
    TOTP.activate(user, generate_totp_secret())
    RecoveryCodes.activate(user)


def _faces(owner: User, people: Sequence[Sitter]) -> Generation:
    """One finished generation of invented faces."""
    attributes = Attributes.random(random.Random(7))
    made = Generation.objects.create(
        owner=owner, kind="face", state="succeeded", prompt=attributes.to_prompt(),
        attributes=attributes.to_dict(), count=len(people[:4]), engine="miniature", charged=4,
        seed=7,
    )  # fmt: skip
    for index, sitter in enumerate(people[:4]):
        store_generated(made, index, GeneratedImage(sitter.reference, 7 + index))
    return made


def _model(
    owner: User, name: str, sitter: Sitter, *, is_ready: bool = True, **fields: object
) -> PortraitModel:
    reference = store_png(sitter.reference, owner=owner, kind="reference", is_public=True)
    fields.setdefault("others_may_use", True)
    return PortraitModel.objects.create(
        owner=owner,
        name=name,
        reference=reference,
        weights="weights/learnt.safetensors" if is_ready else "",
        likeness=sitter.likeness if is_ready else None,
        **fields,
    )


def _views(sitter: Sitter) -> list[View]:
    """An identity sheet; one view of it is not very alike, of one nobody knows."""
    likeness: list[int | None] = [91, 88, 54, None, 86, 93]
    views: list[View] = []
    for prompt, pictures in sitter.drawn:
        place, face, outfit, light = prompt.split(", ")
        for picture in pictures:
            with Image.open(io.BytesIO(picture.png)) as opened:
                jpeg = sheet_parts.as_jpeg(opened)
            words = f"facing the camera, {face}, {place}, in a {outfit}, in {light}"
            views.append(View(jpeg, words, likeness[len(views) % len(likeness)]))
    return views


def _trainings(waiting: PortraitModel, failed: PortraitModel, sitter: Sitter) -> None:
    now = timezone.now()
    Training.objects.create(
        owner=waiting.owner, portrait_model=waiting, state="running", engine="miniature",
        charged=20, attempt=1, phase="train", done=430, total=1000, preview=_small(sitter),
        lease_until=now + timedelta(hours=1), started_at=now - timedelta(seconds=70),
    )  # fmt: skip
    Training.objects.create(
        owner=failed.owner, portrait_model=failed, state="failed", engine="miniature", charged=20,
        error_message="The engine ran out of memory.", finished_at=now,
    )  # fmt: skip


def _generation(
    model: PortraitModel, prompt: str, pictures: Sequence[GeneratedImage], *, minutes: int
) -> Generation:
    made = Generation.objects.create(
        owner=model.owner, portrait_model=model, kind="image", state="succeeded", prompt=prompt,
        count=len(pictures), engine="miniature", charged=4 * len(pictures), seed=pictures[0].seed,
    )  # fmt: skip
    Appearance.objects.create(generation=made, portrait_model=model, place=0)
    for index, picture in enumerate(pictures):
        own = picture if picture.faces else _scored(picture.png, picture.seed, 94 - 3 * index)
        store_generated(made, index, own)
    moment = timezone.now() - timedelta(minutes=minutes)
    Generation.objects.filter(id=made.id).update(created_at=moment)
    Asset.objects.filter(generation=made).update(created_at=moment)
    return made


def _shelved(alice: User, made: Generation) -> dict[str, Any]:
    """An edit, a folder, a favourite, a shared and a public picture."""
    picture, *others = made.assets.order_by("index")
    edit = _asked(made.portrait_model, "edit", "in the snow", source=picture)
    with picture.file.open("rb") as file:
        edited = store_generated(edit, 0, _scored(file.read(), 3))
    folder = library.create_folder(alice, "Favourites of June")
    library.move(Asset.objects.filter(pk=picture.pk), folder)
    library.set_favourite(picture, is_favourite=True)
    library.publish(picture)
    share = library.share(others[0] if others else picture)
    return {"picture": picture, "edited": edited, "folder": folder, "share": share,
            "shown": picture}  # fmt: skip


def _asked(model: PortraitModel | None, kind: str, prompt: str, **fields: object) -> Generation:
    assert model is not None
    made = Generation.objects.create(
        owner=model.owner, portrait_model=model, kind=kind, prompt=prompt, state="succeeded",
        engine="miniature", charged=6, seed=3, **fields,
    )  # fmt: skip
    Appearance.objects.create(generation=made, portrait_model=model, place=0)
    return made


def _scored(png: bytes, seed: int, likeness: int = 91) -> GeneratedImage:
    return GeneratedImage(png, seed, (FaceScore(likeness, turned=0.3),))


def _unfinished(model: PortraitModel, sitter: Sitter) -> None:
    now = timezone.now()
    Generation.objects.create(
        owner=model.owner, portrait_model=model, kind="image", state="running", count=4,
        prompt="at sunset, smiling, teal dress, golden light", engine="miniature", charged=16,
        attempt=1, phase="draw", done=610, total=1000, preview=_small(sitter),
        lease_until=now + timedelta(hours=1), started_at=now - timedelta(seconds=9),
    )  # fmt: skip


def _small(sitter: Sitter) -> bytes:
    """A preview as the worker keeps it: a JPEG of 128 px."""
    out = io.BytesIO()
    look = sitter.drawn[0][1][0].png if sitter.drawn else sitter.reference
    with Image.open(io.BytesIO(look)) as picture:
        picture.convert("RGB").resize((128, 128)).save(out, "JPEG")
    return out.getvalue()


def _session(user: User) -> str:
    """The key of a session as it is right after signing in with the password."""
    request = HttpRequest()
    request.session = SessionStore()
    login(request, user, backend="allauth.account.auth_backends.AuthenticationBackend")
    record_authentication(request, user, "password", email=user.email)
    request.session.save()
    for ip, agent in (("203.0.113.7", AGENTS[0]), ("198.51.100.23", AGENTS[1])):
        key = request.session.session_key if agent == AGENTS[0] else f"{user.pk}-another"
        UserSession.objects.create(user=user, session_key=key, ip=ip, user_agent=agent)
    return str(request.session.session_key)
