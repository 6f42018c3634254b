"""Who is on which plan, what Stripe told, and a ledger that can be read, never written."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing import allowance
from billing.models import CreditEntry, Reconciliation, StripeEvent, Subscription
from billing.payments import events
from billing.plans import PLANS


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that only the studio writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class SubscriptionForm(forms.ModelForm):  # type: ignore[type-arg]
    plan = forms.ChoiceField(choices=lambda: [(plan.name, plan.title) for plan in PLANS.values()])

    class Meta:
        model = Subscription
        fields = ["user", "plan"]

    def clean_plan(self) -> str:
        plan: str = self.cleaned_data["plan"]
        if self.instance.stripe_subscription_id and plan != self.instance.plan:
            raise forms.ValidationError("This plan is paid for: change or cancel it at Stripe.")
        return plan


@admin.register(Subscription)
class SubscriptionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = SubscriptionForm
    list_display = ("user", "plan", "paid_until", "is_ending", "payment_failed_at", "updated_at")
    list_filter = ("plan", "is_ending")
    search_fields = ("user__email", "stripe_customer_id", "stripe_subscription_id")
    autocomplete_fields = ("user",)
    list_select_related = ("user",)
    told = (
        "credits", "plan_since", "anchor", "paid_until", "is_ending", "payment_failed_at",
        "stripe_customer_id", "stripe_subscription_id",
    )  # fmt: skip

    def get_fields(self, request: HttpRequest, obj: Subscription | None = None) -> tuple[str, ...]:
        return ("user", "plan", *self.told) if obj else ("user", "plan")

    def get_readonly_fields(
        self, request: HttpRequest, obj: Subscription | None = None
    ) -> tuple[str, ...]:
        return ("user", *self.told) if obj else ()

    @admin.display(description="credits left")
    def credits(self, row: Subscription) -> int:
        return allowance.balance(row.user)

    def save_model(
        self, request: HttpRequest, obj: Subscription, form: forms.ModelForm[Any], change: bool
    ) -> None:
        """Under the person's lock, and nothing but the plan: the rest may have moved meanwhile."""
        allowance.assign(obj.user, PLANS[form.cleaned_data["plan"]])
        obj.pk = Subscription.objects.get(user=obj.user).pk

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # it is the lock for what its person spends


@admin.register(CreditEntry)
class CreditEntryAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "user", "kind", "amount", "balance", "allowance", "reason")
    list_filter = ("kind",)
    search_fields = ("user__email", "key")
    list_select_related = ("user",)
    date_hierarchy = "created_at"


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "type", "state", "user", "attempts", "retry_at", "note")
    list_filter = ("state", "type")
    search_fields = ("id", "user__email")
    list_select_related = ("user",)
    date_hierarchy = "created_at"
    exclude = ("payload",)
    readonly_fields = ("told",)
    actions = ("reprocess",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """For the action; a single event is shown, never changed."""
        return obj is None and request.user.has_perm("billing.change_stripeevent")

    @admin.display(description="what Stripe told")
    def told(self, row: StripeEvent) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(json.loads(row.payload), indent=2))

    @admin.action(description="Look again at what these are about", permissions=["change"])
    def reprocess(self, request: HttpRequest, rows: QuerySet[StripeEvent]) -> None:
        """Safe for any of them: what the ledger has is not posted twice."""
        for row in rows.order_by("created_at"):
            try:
                state = events.reprocess(row).state
            except Exception as error:  # noqa: BLE001  Stripe away, a customer gone: it is told
                messages.error(request, f"{row.type} {row.id}: {error}")
                continue
            is_fine = state != StripeEvent.State.FAILED
            tell = messages.success if is_fine else messages.error
            tell(request, f"{row.type} {row.id}: {state}")


@admin.register(Reconciliation)
class ReconciliationAdmin(ReadOnlyAdmin):
    list_display = ("started_at", "finished_at", "events", "repaired", "note")
