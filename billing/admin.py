"""Who is on which plan; the ledger can be read, never written."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from billing.models import CreditEntry, Subscription
from billing.plans import PLANS


class SubscriptionForm(forms.ModelForm):  # type: ignore[type-arg]
    plan = forms.ChoiceField(choices=lambda: [(plan.name, plan.title) for plan in PLANS.values()])

    class Meta:
        model = Subscription
        fields = ["user", "plan"]


@admin.register(Subscription)
class SubscriptionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = SubscriptionForm
    list_display = ("user", "plan", "updated_at")
    list_filter = ("plan",)
    search_fields = ("user__email",)
    autocomplete_fields = ("user",)
    list_select_related = ("user",)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Subscription | None = None
    ) -> tuple[str, ...]:
        return ("user",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # it is the lock for what its person spends


@admin.register(CreditEntry)
class CreditEntryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("created_at", "user", "kind", "amount", "balance", "reason")
    list_filter = ("kind",)
    search_fields = ("user__email", "key")
    list_select_related = ("user",)
    date_hierarchy = "created_at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
