"""API keys on a person's own page. A new one is shown once, in the answer to its form."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts import keys
from accounts.access import person, sign_in_required
from accounts.forms import ApiKeyForm
from accounts.limits import limited


@require_http_methods(["GET", "HEAD", "POST"])
@sign_in_required
@limited("api-keys", "30/h")
def api_keys(request: HttpRequest) -> HttpResponse:
    user = person(request)
    form, secret, status = ApiKeyForm(), "", 200
    if request.method == "POST":
        form, status = ApiKeyForm(request.POST), 422
        if form.is_valid() and keys.working(user) >= keys.KEYS_MAX:
            form.add_error(None, f"You have {keys.KEYS_MAX} keys. Revoke one first.")
        elif form.is_valid():
            sent = form.cleaned_data
            _, secret = keys.create(
                user,
                name=sent["name"],
                scopes=sent["scopes"],
                spend_limit=sent["spend_limit"],
            )
            form, status = ApiKeyForm(), 201
    context = {"form": form, "secret": secret, "keys": user.api_keys.all()[:100]}
    return render(request, "accounts/keys.html", context, status=status)


@require_POST
@sign_in_required
def api_key_revoke(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    key = get_object_or_404(person(request).api_keys, id=id)
    keys.revoke(key)
    messages.success(request, f"{key.name} works no more.")
    return redirect("api_keys")
