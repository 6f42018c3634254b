"""A person's own page."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts import keys
from accounts.access import person, sign_in_required
from accounts.forms import UnitsForm


@require_safe
@sign_in_required
def account(request: HttpRequest) -> HttpResponse:
    user = person(request)
    kinds = list(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    context = {
        "form": UnitsForm(instance=user),
        "passkeys": kinds.count(Authenticator.Type.WEBAUTHN),
        "has_app": Authenticator.Type.TOTP in kinds,
        "sessions": UserSession.objects.filter(user=user).count(),
        "api_keys": keys.working(user),
        "has_password": user.has_usable_password(),
    }
    return render(request, "accounts/account.html", context)


@require_POST
@sign_in_required
def units(request: HttpRequest) -> HttpResponse | HttpResponseRedirect:
    form = UnitsForm(request.POST, instance=person(request))
    status = 200 if form.is_valid() else 422
    if form.is_valid():
        form.save()
    if request.headers.get("HX-Request"):
        context = {"form": form, "saved": status == 200}
        return render(request, "accounts/_units.html", context, status=status)
    return redirect("account")
