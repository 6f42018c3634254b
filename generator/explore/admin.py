"""Reports, for whoever looks after the studio: what it is about, taken down or left."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from generator.assets.models import Asset
from generator.explore.models import Report
from generator.library import services
from generator.portraits.models import PortraitModel


@admin.register(Report)
class ReportAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("reason", "asset", "portrait_model", "words", "created_at", "handled_at")
    list_filter = ("reason", "handled_at")
    readonly_fields = ("reporter", "asset", "portrait_model", "reason", "words", "created_at")
    actions = ("take_down", "leave")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(description="Take it off Explore")
    def take_down(self, request: HttpRequest, reports: QuerySet[Report]) -> None:
        services.unpublish(Asset.objects.filter(reports__in=reports))
        closed = PortraitModel.objects.filter(reports__in=reports)
        closed.update(others_may_use=False)
        self.leave(request, reports)

    @admin.action(description="Leave it as it is")
    def leave(self, request: HttpRequest, reports: QuerySet[Report]) -> None:
        reports.update(handled_at=timezone.now())
