"""What must be true of the rows and files at every moment. Reads only.

The same checks run in production (`manage.py audit --strict`) and after tests.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.files.storage import default_storage
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Now

from billing import audit as money
from billing.models import CreditEntry
from billing.plans import plan_of
from generator.assets.models import Asset
from generator.jobs import lifecycle, sweeper
from generator.jobs.lifecycle import DEATHS_MAX, ENGINE_ERRORS_MAX, LEASE, UNFINISHED, State, key
from generator.jobs.models import Generation, Training
from generator.portraits.models import PortraitModel, Reference

Found = Iterator[str]  # one sentence per violation


@dataclass(frozen=True)
class Check:
    code: str  # the invariant's number in the architecture
    promise: str
    run: Callable[[], Found]
    is_strict: bool = True  # False: worth knowing, but a person's choice may lead there


@dataclass(frozen=True)
class Outcome:
    check: Check
    found: list[str]


def audit(*, orphan_age: timedelta = sweeper.ORPHAN_AGE) -> list[Outcome]:
    """Every check with what it found. `orphan_age`: how old a file without a row must be."""
    return [Outcome(check, list(check.run())) for check in checks(orphan_age)]


def violations(*, orphan_age: timedelta = sweeper.ORPHAN_AGE) -> list[str]:
    """The sentences of all strict checks; empty when all is well."""
    outcomes = [outcome for outcome in audit(orphan_age=orphan_age) if outcome.check.is_strict]
    return [f"{outcome.check.code}: {line}" for outcome in outcomes for line in outcome.found]


def checks(orphan_age: timedelta) -> list[Check]:
    return [
        Check("1", "credits never fall below zero and entries add up", money.sums),
        Check("1", "what came back had been paid, by the same person", money.returns),
        Check("1", "the allowance that pages count on was posted", money.allowances),
        Check("1", "everything Stripe told was applied", money.events, False),
        Check("2", "a job is charged once and refunded at most once", _charges),
        Check("2", "failed and canceled jobs got their credits back", _refunds),
        Check("3", "portrait models within the plan (after a downgrade they stay)", _cap, False),
        Check("4", "jobs are in a state that makes sense", _states),
        Check("4", "attempts stay within their limits", _limits),
        Check("4", "no running job is forgotten", _forgotten),
        Check("5", "weights come from a training that succeeded", _weights),
        Check("6", "the reference of a private model is private", _privacy),
        Check("7", "nothing is left of jobs that ended", _leftovers),
        Check("7", "a generation has its pictures, or none", _pictures),
        Check("8", "every file has a row", lambda: _orphans(orphan_age)),
        Check("8", "every row has its files", _missing),
    ]


def _charges() -> Found:
    booked = Counter(
        dict(CreditEntry.objects.filter(kind="charge").values_list("key").annotate(Sum("amount")))
    )
    for job in _jobs():
        expected = -job.charged
        if booked[f"{key(job)}:charge"] != expected:
            yield f"{job} cost {job.charged}, booked is {-booked[f'{key(job)}:charge']}"


def _refunds() -> Found:
    refunds = dict(CreditEntry.objects.filter(kind="refund").values_list("key", "amount"))
    for job in _jobs():
        given = refunds.get(f"{key(job)}:refund", 0)
        if job.state in (State.FAILED, State.CANCELED) and given != job.charged:
            yield f"{job} cost {job.charged}, returned were {given}"
        if job.state in UNFINISHED and given:
            yield f"{job} goes on, but {given} credits were returned"
        if job.state == State.SUCCEEDED and given and given != _unmade(job):
            yield f"{job}: {given} credits were returned, {_unmade(job)} are for missing pictures"


def _unmade(job: lifecycle.AnyJob) -> int:
    """Credits for pictures that did not come out, or not alike enough."""
    if not isinstance(job, Generation):
        return 0
    return job.charged * job.uncharged // job.count


def _cap() -> Found:
    people = get_user_model().objects.annotate(models=Count("portrait_models"))
    for person in people.filter(models__gt=0):
        plan = plan_of(person)
        if person.models > plan.portrait_models:
            yield f"{person} has {person.models} models, {plan.title} has {plan.portrait_models}"


def _states() -> Found:
    wrong = (
        Q(state__in=UNFINISHED, finished_at__isnull=False)
        | (~Q(state__in=UNFINISHED) & Q(finished_at__isnull=True))
        | (~Q(state=State.RUNNING) & Q(lease_until__isnull=False))
        | Q(state=State.FAILED, error_message="")
        | Q(done__gt=F("total"))
    )
    for model in lifecycle.NOUNS.values():
        for job in model._default_manager.filter(wrong):
            yield f"{job} contradicts itself"
    twice = Training.objects.filter(state__in=UNFINISHED).values("portrait_model")
    for row in twice.annotate(many=Count("id")).filter(many__gt=1):
        yield f"portrait model {row['portrait_model']} is being trained {row['many']} times"


def _limits() -> Found:
    over = Q(engine_errors__gt=ENGINE_ERRORS_MAX) | Q(infrastructure_deaths__gt=DEATHS_MAX)
    for model in lifecycle.NOUNS.values():
        for job in model._default_manager.filter(over):
            yield f"{job}: {job.engine_errors} errors, {job.infrastructure_deaths} deaths"


def _forgotten() -> Found:
    for model in lifecycle.NOUNS.values():
        for job in model._default_manager.filter(
            state=State.RUNNING, lease_until__lt=Now() - 2 * LEASE
        ):
            yield f"{job} lost its worker at {job.lease_until} and no sweeper came"


def _weights() -> Found:
    for portrait_model in PortraitModel.objects.exclude(weights=""):
        if not portrait_model.trainings.filter(state=State.SUCCEEDED).exists():
            yield f"portrait model {portrait_model.pk} has weights that no training made"
        if default_storage.exists(str(portrait_model.weights.name)):
            with portrait_model.weights.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != portrait_model.weights_sha256:
                yield f"the weights of portrait model {portrait_model.pk} were changed"
    for training in Training.objects.filter(state=State.SUCCEEDED, portrait_model__weights=""):
        yield f"{training} succeeded, but its portrait model has no weights"


def _privacy() -> Found:
    for portrait_model in PortraitModel.objects.filter(is_public=False, reference__is_public=True):
        yield f"portrait model {portrait_model.pk} is private, its reference is not"
    for further in Reference.objects.filter(asset__is_public=True):
        yield f"{further} is public"
    shown = Asset.objects.filter(published_at__isnull=False)
    for asset in shown.filter(generation__appearances__portrait_model__is_public=False):
        yield f"{asset} is on Explore and shows a private model"


def _leftovers() -> Found:
    folder = Path(settings.VAR_DIR) / "trainings"
    unfinished = Training.objects.filter(state__in=UNFINISHED).values_list("pk", flat=True)
    kept = {str(pk) for pk in unfinished}
    for old in folder.iterdir() if folder.is_dir() else ():
        if old.name not in kept and sweeper.is_old(old):
            yield f"a checkpoint of training {old.name} is left"


def _pictures() -> Found:
    for generation in Generation.objects.annotate(pictures=Count("assets")):
        made = generation.pictures
        fits = 1 <= made <= generation.count if generation.state == State.SUCCEEDED else made == 0
        if not fits:
            yield f"{generation} has {made} of {generation.count} pictures"


def _orphans(age: timedelta) -> Found:
    for name in sweeper.orphans(age=age):
        yield f"no row names {name}"


def _missing() -> Found:
    for name in sweeper.referenced():
        if not default_storage.exists(name):
            yield f"{name} is not there"


def _jobs() -> Iterator[lifecycle.AnyJob]:
    for model in lifecycle.NOUNS.values():
        yield from model._default_manager.iterator()
