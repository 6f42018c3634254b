"""The library: everything a person made, and what is done with many of them at once."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import (
    HttpResponseClientRedirect,
    HttpResponseClientRefresh,
    trigger_client_event,
)

from accounts.access import person, sign_in_required
from billing.refusals import Refusal
from generator.assets.models import MADE, Folder
from generator.library import services, shelves, zips
from generator.library.shelves import Filters

FLOORS = (90, 80, 70, 50)


@require_GET
@sign_in_required
def library(request: HttpRequest) -> HttpResponse:
    """The page; for HTMX the next pictures alone, or all of it that filters change."""
    user, filters = person(request), Filters.read(request.GET)
    shelf = shelves.shelf(user, filters, before=request.GET.get("before", ""))
    shown = {"shelf": shelf, "filters": filters}
    if request.headers.get("HX-Request") and request.GET.get("before"):
        return render(request, "generator/_shelf.html", shown)
    shown |= {
        "models": shelves.models_of(user, filters),
        "folders": Folder.objects.filter(owner=user),
        "kinds": [(kind.value, kind.label) for kind in MADE],
        "floors": FLOORS,
    }
    return render(request, "generator/library.html", shown)


@require_POST
@sign_in_required
def delete(request: HttpRequest) -> HttpResponse:
    """Hidden at once; the notice that says so brings them back for some seconds."""
    ids = services.delete(services.chosen(person(request), request.POST.getlist("picture")))
    if not request.headers.get("HX-Request"):
        messages.success(request, f"{_counted(len(ids))} deleted.")
        return redirect(_back(request))
    shown = {"count": len(ids), "ids": ids, "undo": reverse("library_restore")}
    response = render(request, "generator/_deleted.html", shown)
    return trigger_client_event(response, "deleted", {"ids": [str(id) for id in ids]})


@require_POST
@sign_in_required
def restore(request: HttpRequest) -> HttpResponse:
    ids = services.restore(person(request), request.POST.getlist("picture"))
    if not request.headers.get("HX-Request"):
        return redirect(_back(request))
    return trigger_client_event(HttpResponse(), "restored", {"ids": [str(id) for id in ids]})


@require_POST
@sign_in_required
def move(request: HttpRequest) -> HttpResponse:
    """Into one of their folders, a new one, or out of all."""
    user, wanted = person(request), request.POST.get("folder", "")
    pictures = services.chosen(user, request.POST.getlist("picture"))
    if request.POST.get("name"):
        folder: Folder | None = services.create_folder(user, request.POST["name"])
    elif wanted:
        folder = get_object_or_404(Folder, id=_uuid(wanted), owner=user)
    else:
        folder = None
    count = services.move(pictures, folder)
    where = f"to {folder.name}" if folder else "out of their folder"
    messages.success(request, f"{_counted(count)} moved {where}.")
    return _reload(request)


@require_POST
@sign_in_required
def download(request: HttpRequest) -> HttpResponseBase:
    """The chosen pictures as one ZIP."""
    pictures = services.chosen(person(request), request.POST.getlist("picture"))
    chosen = list(pictures.select_related("generation__portrait_model", "owner"))
    if not chosen:
        raise Refusal("not_found", "These pictures are not here any more.", status=404)
    return zips.response(request, chosen)


@require_POST
@sign_in_required
def folder_rename(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    folder = get_object_or_404(Folder, id=id, owner=person(request))
    services.rename_folder(folder, request.POST.get("name", ""))
    return _reload(request)


@require_POST
@sign_in_required
def folder_delete(request: HttpRequest, id: uuid.UUID) -> HttpResponse:
    """The folder goes, its pictures stay."""
    folder = get_object_or_404(Folder, id=id, owner=person(request))
    folder.delete()
    messages.success(request, f"The folder {folder.name} was deleted. Its pictures are still here.")
    if request.headers.get("HX-Request"):
        return HttpResponseClientRedirect(reverse("library"))
    return redirect("library")


def _reload(request: HttpRequest) -> HttpResponse:
    if not request.headers.get("HX-Request"):
        return redirect(_back(request))
    return HttpResponseClientRefresh()


def _back(request: HttpRequest) -> str:
    """The library as it was filtered; only our own words come from the address."""
    query = Filters.read(request.POST).query
    return f"{reverse('library')}?{query}" if query else reverse("library")


def _counted(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.UUID(int=0)
