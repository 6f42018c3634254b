"""Every address of the studio, nested by object."""

from django.contrib import admin
from django.urls import include, path, re_path

from billing.views import estimate
from studio import views

urlpatterns = [
    path("", views.home, name="home"),
    path("help/design/", views.design, name="design"),
    path("healthz/", views.health, name="health"),
    path("account/", include("accounts.urls")),
    path("accounts/", include("allauth.urls")),
    path("billing/", include("billing.urls")),
    re_path(r"^estimate/?$", estimate, name="estimate"),
    path("", include("generator.urls")),
    path("admin/", admin.site.urls),
]

handler404 = "studio.errors.not_found"
handler429 = "accounts.limits.handler429"  # asked for by allauth
