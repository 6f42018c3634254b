"""A person's whole page for administrators: balance, plan, models and jobs, and adjusting credits.

It stands here, at the top, because no floor below may know of all three.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.admin import PersonAdmin
from accounts.models import User
from billing import allowance, ledger
from billing.models import CreditEntry
from billing.refusals import Refusal
from generator.jobs.models import Generation, Job, Training
from generator.portraits.models import PortraitModel

SHOWN = 10  # of each list


class AdjustForm(forms.Form):
    amount = forms.IntegerField(
        min_value=-1_000_000, max_value=1_000_000, help_text="Credits; below 0 takes some away."
    )
    reason = forms.CharField(max_length=180, help_text="The person reads this on their statement.")
    token = forms.UUIDField(widget=forms.HiddenInput)  # sent twice, it is posted once

    def clean_amount(self) -> int:
        amount: int = self.cleaned_data["amount"]
        if not amount:
            raise forms.ValidationError("0 changes nothing.")
        return amount


admin.site.unregister(User)


@admin.register(User)
class WholePersonAdmin(PersonAdmin):
    readonly_fields: ClassVar[Any] = (
        *PersonAdmin.readonly_fields, "plan", "credits", "entries", "models", "jobs",
    )  # fmt: skip
    fieldsets: ClassVar[Any] = (
        *PersonAdmin.fieldsets,
        ("Credits", {"fields": ("plan", "credits", "entries")}),
        ("Made", {"fields": ("models", "jobs")}),
    )

    def get_urls(self) -> list[URLPattern]:
        adjust = self.admin_site.admin_view(self.adjust)
        own: list[Any] = [path("<int:id>/credits/", adjust, name="adjust_credits")]
        return own + super().get_urls()

    def plan(self, person: User) -> SafeString | str:
        standing = allowance.standing(person)
        title = standing.terms.plan.title
        row = getattr(person, "subscription", None)
        if row is None:
            return title
        address = reverse("admin:billing_subscription_change", args=[row.pk])
        return format_html('<a href="{}">{}</a>', address, title)

    def credits(self, person: User) -> SafeString:
        head = allowance.standing(person).head
        return format_html(
            '{} ({} of the plan, {} kept, {} owed) <a href="{}">Adjust</a>',
            head.balance, head.allowance, head.kept, head.owed,
            reverse("admin:adjust_credits", args=[person.pk]),
        )  # fmt: skip

    def entries(self, person: User) -> SafeString:
        rows = CreditEntry.objects.filter(user=person)
        lines = [
            f"{row.created_at:%Y-%m-%d %H:%M}  {row.amount:+d}  {row.reason}"
            for row in rows[:SHOWN]
        ]
        return _list(lines, "admin:billing_creditentry_changelist", f"user__id__exact={person.pk}")

    def models(self, person: User) -> SafeString:
        rows = PortraitModel.objects.filter(owner=person)
        lines = [
            f"{row.name} ({'ready' if row.is_ready else 'not trained'})" for row in rows[:SHOWN]
        ]
        return _list(lines, "admin:generator_portraitmodel_changelist", f"q={person.email}")

    def jobs(self, person: User) -> SafeString:
        trainings: Iterable[Training] = Training.objects.filter(owner=person)[:SHOWN]
        made: Iterable[Generation] = Generation.objects.filter(owner=person)[:SHOWN]
        rows = sorted([*trainings, *made], key=lambda job: job.created_at, reverse=True)[:SHOWN]
        lines = [f"{_when(job)}  {job}  {job.error_message}" for job in rows]
        return _list(lines, "admin:generator_generation_changelist", f"q={person.email}")

    def adjust(self, request: HttpRequest, id: int) -> HttpResponse:
        """Credits given or taken by hand, with a reason that is posted and shown."""
        person = User.objects.filter(pk=id).first()
        if person is None or not request.user.has_perm("billing.change_subscription"):
            raise Http404
        form = AdjustForm(request.POST or None, initial={"token": uuid.uuid4()})
        if request.method == "POST" and form.is_valid() and self._adjusted(request, person, form):
            return redirect("admin:accounts_user_change", person.pk)
        shown = {
            **self.admin_site.each_context(request), "form": form, "person": person,
            "title": f"Adjust the credits of {person}", "left": allowance.balance(person),
        }  # fmt: skip
        return render(request, "admin/adjust_credits.html", shown)

    def _adjusted(self, request: HttpRequest, person: User, form: AdjustForm) -> bool:
        told = form.cleaned_data
        try:
            with transaction.atomic():
                ledger.adjust(
                    ledger.locked(person),
                    told["amount"],
                    key=f"adjustment:{told['token']}",
                    reason=told["reason"],
                )
        except ledger.AlreadyPosted:
            return True
        except Refusal as refusal:
            form.add_error("amount", refusal.message)
            return False
        self.log_change(request, person, f"{told['amount']:+d} credits: {told['reason']}")
        messages.success(request, f"{told['amount']:+d} credits were posted.")
        return True


def _when(row: CreditEntry | Job) -> str:
    return f"{row.created_at:%Y-%m-%d %H:%M}"


def _list(lines: list[str], address: str, query: str) -> SafeString:
    if not lines:
        return format_html("{}", "–")
    shown = format_html_join("", "<li>{}</li>", ((line,) for line in lines))
    return format_html('<ul>{}</ul><a href="{}?{}">All</a>', shown, reverse(address), query)
