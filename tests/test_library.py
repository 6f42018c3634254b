"""The library: everything a person made, found again, kept, shown, deleted and brought back."""

from __future__ import annotations

import io
import uuid
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import AsyncClient, Client
from django.utils import timezone

from accounts.models import User
from billing.refusals import Refusal
from generator.assets.models import Asset, Folder, Share
from generator.explore.models import Report
from generator.jobs.models import Appearance, Generation
from generator.library import services, shelves
from generator.library.shelves import Filters
from generator.portraits.models import PortraitModel
from generator.portraits.services import update_portrait_model
from tests import rows

HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def ada(alice: User) -> PortraitModel:
    return rows.portrait_model(alice, "Ada")


def picture(model: PortraitModel, **changes: Any) -> Asset:
    """One finished picture; `prompt` is its generation's."""
    made = rows.generation(model, count=1)
    if "prompt" in changes:
        Generation.objects.filter(pk=made.pk).update(prompt=changes.pop("prompt"))
    Asset.objects.filter(generation=made).update(**changes)
    return made.assets.select_related("generation").get()


def shown(client: Client, query: str = "") -> set[str]:
    page = client.get(f"/library/?{query}").context["shelf"]
    return {str(asset.id) for asset in page.tiles}


# --- finding ---------------------------------------------------------------------------
def test_the_signed_out_are_asked_to_sign_in(client: Client, db: None) -> None:
    assert client.get("/library/")["Location"].startswith("/accounts/login/")


def test_every_picture_is_shown_once_newest_first(alice: User, ada: PortraitModel) -> None:
    made = rows.generation(ada, count=1)
    Asset.objects.filter(generation=made).delete()
    moment = timezone.now()
    Asset.objects.bulk_create(
        Asset(owner=alice, kind="image", file=f"{n}.png", width=9, height=9)
        for n in range(shelves.PAGE * 2 + 7)
    )
    Asset.objects.filter(owner=alice, kind="image").update(created_at=moment)
    Asset.objects.filter(file__in=["3.png", "4.png"]).update(created_at=moment + timedelta(hours=1))
    seen: list[shelves.Tile] = []
    before = ""
    while True:
        shelf = shelves.shelf(alice, Filters(), before=before)
        seen += shelf.tiles
        before = shelf.before
        if not before:
            break
    assert len(seen) == len({one.id for one in seen}) == shelves.PAGE * 2 + 7
    assert seen == sorted(seen, key=lambda one: (one.created_at, one.id), reverse=True)


def test_filters_find_what_they_say(alice: User, ada: PortraitModel, alice_client: Client) -> None:
    byron = rows.portrait_model(alice, "Byron")
    folder = Folder.objects.create(owner=alice, name="June")
    old = timezone.now() - timedelta(days=40)
    beach = picture(ada, prompt="at the BEACH", likeness=95, is_favourite=True)
    clip = picture(ada, prompt="in the snow", kind="video", likeness=40)
    both = picture(ada, prompt="in a cafe", likeness=80, folder=folder, created_at=old)
    assert both.generation
    Appearance.objects.create(generation=both.generation, portrait_model=byron, place=1)
    alone = picture(byron, prompt="in a garden", likeness=None)
    day = old.date().isoformat()
    for query, found in (
        ("", [beach, clip, both, alone]),
        (f"model={ada.pk}", [beach, clip, both]),
        (f"model={byron.pk}", [both, alone]),
        ("kind=video", [clip]),
        ("q=beach", [beach]),
        ("favourite=1", [beach]),
        ("likeness=80", [beach, both]),
        (f"folder={folder.pk}", [both]),
        (f"since={day}&until={day}", [both]),
        (f"since={(timezone.now() - timedelta(days=2)).date()}", [beach, clip, alone]),
        (f"model={ada.pk}&kind=image&q=cafe", [both]),
        ("q=nothing", []),
    ):
        assert shown(alice_client, query) == {str(one.pk) for one in found}, query


def test_models_to_look_for_are_ones_own_and_the_one_looked_for(
    alice: User, ada: PortraitModel, bob: User, alice_client: Client
) -> None:
    theirs, unused = (rows.portrait_model(bob, name, is_public=True) for name in ("Cleo", "Dora"))
    picture(theirs)
    Generation.objects.filter(portrait_model=theirs).update(owner=alice)
    for model, names in (("", ["Ada"]), (theirs.pk, ["Ada", "Cleo"]), (unused.pk, ["Ada"])):
        shown = alice_client.get(f"/library/?model={model}").context["models"]
        assert [name for _, name in shown] == names


@pytest.mark.parametrize(
    "query",
    ["model=x", "kind=face", "folder=1", "likeness=-1", "likeness=9999999", "since=2026-99-99",
     "until=x", "before=x", "before=2026-01-01T00:00_x", "q=%00", "q=" + "a" * 5000],
)  # fmt: skip
def test_a_broken_filter_is_no_error(
    query: str, alice: User, ada: PortraitModel, alice_client: Client
) -> None:
    picture(ada)
    assert alice_client.get(f"/library/?{query}").status_code == 200


def test_filters_survive_scrolling(alice: User, ada: PortraitModel, alice_client: Client) -> None:
    rows.generation(ada, count=1)
    for _ in range(shelves.PAGE):
        picture(ada, kind="edit")
    assert "before=" not in alice_client.get("/library/?kind=edit&q=beach").content.decode()
    picture(ada, kind="edit")
    page = alice_client.get("/library/?kind=edit&q=beach").content.decode()
    assert "kind=edit&amp;q=beach&amp;before=" in page


@pytest.mark.parametrize("count", [1, 500])
def test_the_library_asks_the_database_at_most_eight_times(
    count: int, alice: User, ada: PortraitModel, alice_client: Client,
    django_assert_max_num_queries: Any,
) -> None:  # fmt: skip
    made = Generation.objects.bulk_create(
        Generation(owner=alice, portrait_model=ada, kind="image", state="succeeded", prompt="x",
                   engine="miniature") for _ in range(count)
    )  # fmt: skip
    Appearance.objects.bulk_create(
        Appearance(generation=one, portrait_model=ada, place=0) for one in made
    )
    Asset.objects.bulk_create(
        Asset(owner=alice, kind="image", file="x.png", width=9, height=9, generation=one)
        for one in made
    )
    Folder.objects.create(owner=alice, name="June")
    for query in ("", f"?model={ada.pk}&q=x&likeness=0&favourite=0"):
        with django_assert_max_num_queries(8):
            assert alice_client.get(f"/library/{query}").status_code == 200


def test_a_library_is_a_persons_own(
    alice: User, ada: PortraitModel, bob_client: Client, bob: User
) -> None:
    one = picture(ada)
    assert shown(bob_client) == set()
    assert shown(bob_client, f"model={ada.pk}") == set()
    for path in ("", "favourite/", "share/", "share/revoke/", "publish/", "folder/"):
        method = bob_client.get if not path else bob_client.post
        assert method(f"/pictures/{one.pk}/{path}", **HTMX).status_code == 404


# --- deleting ---------------------------------------------------------------------------
def test_deleting_hides_and_undo_brings_back(
    alice: User, ada: PortraitModel, alice_client: Client, bob_client: Client
) -> None:
    first, second = picture(ada), picture(ada)
    sent = {"picture": [str(first.pk)]}
    assert bob_client.post("/library/delete/", sent, **HTMX).status_code == 200  # nothing of his
    assert shown(alice_client) == {str(first.pk), str(second.pk)}
    answer = alice_client.post("/library/delete/", sent, **HTMX)
    assert str(first.pk) in answer["HX-Trigger"] and "Undo" in answer.content.decode()
    assert shown(alice_client) == {str(second.pk)}
    assert alice_client.get(f"/pictures/{first.pk}/").status_code == 404
    assert bob_client.post("/library/restore/", sent, **HTMX).status_code == 409
    alice_client.post("/library/restore/", sent, **HTMX)
    assert shown(alice_client) == {str(first.pk), str(second.pk)}


def test_after_some_seconds_deleted_pictures_are_gone_for_good(
    alice: User, ada: PortraitModel, alice_client: Client
) -> None:
    made = rows.generation(ada, count=2)
    first, second = made.assets.order_by("index")
    alice_client.post("/library/delete/", {"picture": [str(first.pk)]}, **HTMX)
    services.purge()
    assert Asset.objects.filter(pk=first.pk).exists()
    Asset.objects.filter(pk=first.pk).update(deleted_at=timezone.now() - timedelta(seconds=20))
    services.purge()
    assert not Asset.objects.filter(pk=first.pk).exists()
    assert Generation.objects.filter(pk=made.pk, deleted_at=None).exists()
    alice_client.post("/library/delete/", {"picture": [str(second.pk)]}, **HTMX)
    made.refresh_from_db()
    assert made.deleted_at  # nothing of it is left
    past = timezone.now() - timedelta(seconds=20)
    Asset.objects.filter(kind="image").update(deleted_at=past)
    Generation.objects.update(deleted_at=past)
    services.purge()
    assert not Generation.objects.exists()
    sent = {"picture": [str(second.pk)]}
    assert alice_client.post("/library/restore/", sent, **HTMX).status_code == 409


def test_undoing_in_the_last_moment_still_works(alice: User, ada: PortraitModel) -> None:
    one = picture(ada)
    services.delete(Asset.objects.filter(pk=one.pk))
    almost = timezone.now() - services.UNDO - timedelta(seconds=1)
    Asset.objects.filter(kind="image").update(deleted_at=almost)
    services.purge()
    assert services.restore(alice, [str(one.pk)]) == [one.pk]


@pytest.mark.parametrize(
    ("ids", "status"), [([], 422), (["x"], 422), ([str(uuid.uuid4())] * 151, 422)]
)
def test_choosing_nothing_or_too_much_is_said(
    ids: list[str], status: int, alice: User, alice_client: Client
) -> None:
    for action in ("delete", "move", "download"):
        answer = alice_client.post(f"/library/{action}/", {"picture": ids}, **HTMX)
        assert answer.status_code == status, action


# --- folders, favourites, packing ------------------------------------------------------------
def test_pictures_go_into_folders_and_out_again(
    alice: User, ada: PortraitModel, alice_client: Client, bob: User
) -> None:
    one = picture(ada)
    alice_client.post("/library/move/", {"picture": [str(one.pk)], "name": "June"}, **HTMX)
    folder = Folder.objects.get()
    assert shown(alice_client, f"folder={folder.pk}") == {str(one.pk)}
    alice_client.post(f"/library/folders/{folder.pk}/rename/", {"name": "July"}, **HTMX)
    assert Folder.objects.get().name == "July"
    theirs = Folder.objects.create(owner=bob, name="Bob's")
    sent = {"picture": [str(one.pk)], "folder": str(theirs.pk)}
    assert alice_client.post("/library/move/", sent, **HTMX).status_code == 404
    alice_client.post(f"/library/folders/{folder.pk}/delete/", **HTMX)
    assert shown(alice_client) == {str(one.pk)} and not Folder.objects.filter(owner=alice).exists()


@pytest.mark.parametrize("name", ["", "   ", "a" * 41, "a\x00b"])
def test_a_folder_has_a_name(name: str, alice: User, ada: PortraitModel) -> None:
    with pytest.raises(Refusal):
        services.create_folder(alice, name)


def test_two_folders_of_one_person_have_two_names(alice: User, bob: User) -> None:
    services.create_folder(alice, "June")
    services.create_folder(bob, "June")
    with pytest.raises(Refusal, match="already"):
        services.create_folder(alice, "June")


def test_a_favourite_is_one_until_it_is_not(
    alice: User, ada: PortraitModel, alice_client: Client
) -> None:
    one = picture(ada)
    for expected in (True, False):
        page = alice_client.post(f"/pictures/{one.pk}/favourite/", **HTMX).content.decode()
        assert f'aria-pressed="{str(expected).lower()}"' in page
        one.refresh_from_db()
        assert one.is_favourite is expected


def stored(model: PortraitModel, body: bytes) -> Asset:
    name = default_storage.save("assets/x.png", ContentFile(body))
    return picture(model, file=name)


def test_chosen_pictures_come_as_one_zip(
    alice: User, ada: PortraitModel, alice_client: Client, bob: User
) -> None:
    first, second = stored(ada, b"first"), stored(ada, b"second")
    theirs = stored(rows.portrait_model(bob, "Bo"), b"theirs")
    sent = {"picture": [str(one.pk) for one in (first, second, theirs)]}
    answer = alice_client.post("/library/download/", sent)
    assert answer["Content-Type"] == "application/zip"
    packed = zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))
    assert packed.testzip() is None
    assert {packed.read(name) for name in packed.namelist()} == {b"first", b"second"}
    assert all(name.endswith("Ada image.png") for name in packed.namelist())


@pytest.mark.django_db(transaction=True)
async def test_a_zip_is_streamed_by_the_asynchronous_server_too(
    alice: User, ada: PortraitModel, async_client: AsyncClient
) -> None:
    one = await sync_to_async(stored)(ada, b"first")
    await async_client.aforce_login(alice)
    answer = await async_client.post("/library/download/", {"picture": [str(one.pk)]})
    body = b"".join([part async for part in answer.streaming_content])
    assert zipfile.ZipFile(io.BytesIO(body)).namelist() == ["001 Ada image.png"]


# --- showing ---------------------------------------------------------------------------------
def test_a_link_shows_one_picture_until_it_is_revoked(
    alice: User, ada: PortraitModel, alice_client: Client, client: Client
) -> None:
    one = stored(ada, b"picture")
    page = alice_client.post(f"/pictures/{one.pk}/share/", **HTMX).content.decode()
    again = alice_client.post(f"/pictures/{one.pk}/share/", **HTMX).content.decode()
    share = Share.objects.get()
    assert f"/s/{share.token}/" in page and f"/s/{share.token}/" in again
    public = client.get(f"/s/{share.token}/")
    assert public.status_code == 200 and public["X-Robots-Tag"] == "noindex"
    words = public.content.decode()
    assert "at the beach" not in words and "Ada" not in words  # the picture alone
    assert client.get(f"/media/{one.pk}/?share={share.token}").content == b"picture"
    alice_client.post(f"/pictures/{one.pk}/share/revoke/", **HTMX)
    assert client.get(f"/s/{share.token}/").status_code == 404
    assert client.get(f"/media/{one.pk}/?share={share.token}").status_code == 404
    assert len(share.token) >= 24


def test_a_deleted_picture_is_shared_no_more(
    alice: User, ada: PortraitModel, client: Client
) -> None:
    one = stored(ada, b"picture")
    share = services.share(one)
    services.delete(Asset.objects.filter(pk=one.pk))
    assert client.get(f"/s/{share.token}/").status_code == 404


def test_a_picture_on_explore_is_everybodys_to_see_and_nobodys_to_change(
    alice: User, ada: PortraitModel, alice_client: Client, bob_client: Client, client: Client
) -> None:
    one = stored(ada, b"picture")
    alice_client.post(f"/pictures/{one.pk}/publish/", **HTMX)
    for other in (client, bob_client):
        assert str(one.pk) in other.get("/explore/").content.decode()
        assert other.get(f"/pictures/{one.pk}/").status_code == 200
        assert "Share a link" not in other.get(f"/pictures/{one.pk}/").content.decode()
        assert other.get(f"/media/{one.pk}/").status_code == 200
    assert bob_client.post(f"/pictures/{one.pk}/publish/", **HTMX).status_code == 404
    alice_client.post(f"/pictures/{one.pk}/publish/", **HTMX)
    assert str(one.pk) not in client.get("/explore/").content.decode()
    assert client.get(f"/media/{one.pk}/").status_code == 404


def test_nobody_sees_pictures_of_a_private_model(
    alice: User, ada: PortraitModel, client: Client
) -> None:
    one = picture(ada)
    services.publish(one)
    update_portrait_model(ada, is_public=False)
    assert client.get(f"/pictures/{one.pk}/").status_code == 404
    with pytest.raises(Refusal, match="private model"):
        services.publish(one)


def test_explore_scrolls_and_names_who_is_shown(
    alice: User, ada: PortraitModel, client: Client
) -> None:
    PortraitModel.objects.update(instagram_url="https://www.instagram.com/ada")
    for _ in range(31):
        services.publish(picture(ada))
    page = client.get("/explore/")
    assert len(page.context["wall"].pictures) == 30
    words = page.content.decode()
    assert "Create with this model" in words and "instagram.com/ada" in words
    more = client.get(f"/explore/?before={page.context['wall'].before}".replace("+", "%2B"), **HTMX)
    assert len(more.context["wall"].pictures) == 1
    PortraitModel.objects.update(others_may_use=False)
    assert "Create with this model" not in client.get("/explore/").content.decode()


@pytest.mark.parametrize("what", ["pictures", "models"])
def test_what_is_public_can_be_reported(
    what: str, alice: User, ada: PortraitModel, bob_client: Client, client: Client
) -> None:
    one = picture(ada)
    services.publish(one)
    address = f"/{what}/{one.pk if what == 'pictures' else ada.pk}/report/"
    assert client.post(address, {"reason": "other"})["Location"].startswith("/accounts/login/")
    assert "What is wrong?" in bob_client.get(address, **HTMX).content.decode()
    assert bob_client.post(address, {"reason": "nonsense"}, **HTMX).status_code == 422
    bob_client.post(address, {"reason": "person", "words": "That is me."}, **HTMX)
    report = Report.objects.get()
    assert (report.reason, report.words) == ("person", "That is me.")
    services.unpublish([one])
    update_portrait_model(ada, is_public=False)
    assert bob_client.post(address, {"reason": "other"}, **HTMX).status_code == 404


def test_a_prompt_is_only_ever_text(alice: User, ada: PortraitModel, alice_client: Client) -> None:
    one = picture(ada, prompt='"><script>alert(1)</script>')
    for address in ("/library/", f"/pictures/{one.pk}/", "/create/"):
        assert "<script>alert" not in alice_client.get(address).content.decode()


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_cursor_outside_of_time_begins_with_the_newest(
    db: None, client: Client, moment: str
) -> None:
    answer = client.get("/explore/", {"before": f"{moment}_{uuid.uuid4()}"})
    assert answer.status_code == 200
