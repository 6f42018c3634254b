from django.urls import path

from generator.jobs import views

urlpatterns = [
    path(f"{noun}s/<uuid:id>/{rest}", view, {"noun": noun}, name=f"{noun}{ending}")
    for noun in ("training", "generation")
    for rest, view, ending in (
        ("", views.fragment, ""),
        ("cancel/", views.cancel, "_cancel"),
        ("preview/", views.preview, "_preview"),
    )
]
