"""Models and jobs, for administrators to look at; the studio's pages and workers change them."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin

from billing.admin import ReadOnlyAdmin
from generator.explore import admin as reports
from generator.jobs.models import Generation, Training
from generator.photos.models import PhotoSet
from generator.portraits.models import PortraitModel

__all__ = ["reports"]  # registered with its noun


@admin.register(PortraitModel)
class PortraitModelAdmin(ReadOnlyAdmin):
    list_display = ("name", "owner", "is_public", "likeness", "created_at")
    list_filter = ("is_public",)
    search_fields = ("name", "owner__email", "id")
    list_select_related = ("owner",)
    date_hierarchy = "created_at"
    exclude = ("weights",)


class JobAdmin(ReadOnlyAdmin):
    list_filter: ClassVar[tuple[str, ...]] = ("state", "engine")
    search_fields = ("id", "owner__email")
    list_select_related: ClassVar[tuple[str, ...]] = ("owner",)
    date_hierarchy = "created_at"
    exclude = ("preview",)


@admin.register(Training)
class TrainingAdmin(JobAdmin):
    list_display = ("created_at", "owner", "portrait_model", "state", "charged", "error_message")
    list_select_related = ("owner", "portrait_model")


@admin.register(PhotoSet)
class PhotoSetAdmin(JobAdmin):
    list_display = ("created_at", "owner", "name", "tier", "state", "error_message")


@admin.register(Generation)
class GenerationAdmin(JobAdmin):
    list_display = ("created_at", "owner", "kind", "state", "count", "charged", "error_message")
    list_filter = ("state", "kind", "engine")
