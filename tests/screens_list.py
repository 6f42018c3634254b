"""Every page and every dialog, and how to get there: what is photographed, what is checked.

`docs/screens` shows them (tests/screens.py) and tests/test_accessibility.py examines them, in the
studio that tests/screens_rows.py fills. Knows nothing of either.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, TimeoutError

SIZES: dict[str, dict[str, Any]] = {
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
    "desk": {"viewport": {"width": 1440, "height": 900}},
}
PATIENCE_MS = 60_000  # a machine that trains meanwhile is slow
# Scripts have run, and every picture in sight is there.
SETTLED = """() => document.readyState === "complete" && [...document.images].every((image) =>
    image.complete || image.getBoundingClientRect().top > innerHeight || !image.offsetParent)"""


@dataclass(frozen=True)
class Screen:
    name: str
    path: str  # may name rows: {model}, {generation}, {face}, {public}
    person: str = "alice"  # of screens_rows.PEOPLE; "" is nobody
    photo: bool = False  # upload one first
    fill: tuple[str, str] | None = None
    click: tuple[str, ...] = ()  # selectors, in order; one that is not on this size is passed over
    light: bool = False  # also photographed in the light scheme
    only: str = ""  # a size
    whole: bool = False  # photographed from top to bottom


GRIP = "[data-sheet-toggle] >> visible=true"
DRAWER = "[data-drawer][data-open=no] [data-drawer-toggle]"
MENU = ".model-card__menu >> nth=0"
DIALOG = "#dialog"
SCREENS = (
    Screen("home", "/", "", light=True),
    Screen("home-signed-in", "/"),
    Screen("sign-in", "/", "", click=("#account-nav a",), light=True),
    Screen("sign-up", "/", "", click=("#account-nav a", "#dialog label:has-text('Sign up')")),
    Screen("sign-in-code", "/", "", click=("#account-nav a", "#dialog label:has-text('E-mail')")),
    # creating a model
    Screen("create-model", "/models/new/", light=True),
    Screen("create-model-signed-out", "/models/new/", ""),
    Screen("create-model-photo", "/models/new/", photo=True, fill=("#model-name", "Ada")),
    Screen("create-model-warning", "/models/new/", click=("#create-button",)),
    Screen("create-model-face", "/models/new/?reference={face}", fill=("#model-name", "Ada")),
    Screen("reference-sheet", "/models/new/", click=(".preview__tap",), only="phone"),
    Screen("tutorial", "/models/new/", click=("[data-tutorial]",), light=True),
    Screen("crop", "/models/new/", photo=True, click=("[data-crop]",)),
    Screen("upgrade-private", "/models/new/", "bob", click=(".switch:has([name=is_public])",)),
    Screen("upgrade-cap", "/models/new/?reference={bobs_face}", "bob",
           fill=("#model-name", "Two"), click=("#create-button",)),
    # the influencer generator
    Screen("influencer", "/influencer/", light=True),
    Screen("influencer-selected", "/influencer/?selected={faces}.1"),
    Screen("influencer-parameters", "/influencer/?selected={faces}.1",
           click=(".selected summary",)),
    Screen("influencer-advanced", "/influencer/", click=(DRAWER, ".face-form summary")),
    Screen("influencer-choices", "/influencer/", click=(DRAWER, ".face-form [name=country]")),
    Screen("influencer-drawer", "/influencer/", click=(DRAWER,), only="phone"),
    Screen("influencer-empty", "/influencer/", "nina"),
    Screen("influencer-signed-out", "/influencer/", ""),
    Screen("influencer-panel", "/models/new/",
           click=(".preview__tap >> visible=true", "[data-generator] >> visible=true")),
    # models
    Screen("models", "/models/", light=True),
    Screen("models-empty", "/models/", "nina"),
    Screen("models-menu", "/models/", click=(MENU,)),
    Screen("update-model", "/models/", click=(MENU, ".menu:popover-open >> text=Edit")),
    Screen("delete-model", "/models/", click=(MENU, ".menu:popover-open >> text=Delete")),
    Screen("model", "/models/{model}/"),
    Screen("model-views", "/klein/models/{model}/views/", light=True,
           click=("label.view >> nth=2", "label.view >> nth=3")),
    Screen("model-views-another-engine", "/models/{model}/views/"),
    Screen("model-public", "/models/{public}/"),
    Screen("update-model-page", "/models/{model}/edit/"),
    Screen("delete-model-page", "/models/{model}/delete/"),
    # making pictures
    Screen("workstation", "/create/?model={model}", light=True),
    Screen("workstation-newcomer", "/create/", "nina"),
    Screen("workstation-training", "/create/?model={waiting}"),
    Screen("workstation-ideas", "/create/?model={model}", click=(GRIP, "text=Scene"),
           fill=("#prompt", "in a cafe, smiling, green sweater, golden light")),
    Screen("workstation-places", "/create/?model={model}&prompt=@Ada and @Mira on a beach",
           click=(GRIP, "text=Place people"), light=True),
    Screen("picture", "/create/", click=("a.picture__open >> nth=0",), light=True),
    Screen("picture-page", "/generations/{generation}/pictures/0/"),
    Screen("deleted-pictures", "/create/", "dora", click=(".generation__delete button >> nth=1",)),
    Screen("delete-pictures-page", "/generations/{generation}/delete/"),
    Screen("workstation-video", "/create/?kind=video&source={picture}"),
    Screen("workstation-edit", "/create/?kind=edit&source={picture}"),
    Screen("workstation-settings", "/create/?style=cafe-woman", only="phone"),
    Screen("styles", "/create/", click=(GRIP, "#slot-style a")),
    Screen("styles-page", "/create/styles/?gender=man"),
    Screen("choose-picture", "/create/?kind=edit", click=("#slot-source a",)),
    Screen("choose-picture-page", "/create/choose/source/"),
    Screen("edited", "/pictures/{edited}/"),
    Screen("shared", "/s/{share}/", ""),
    # everything that was made
    Screen("library", "/library/", light=True),
    Screen("library-chosen", "/library/", click=(".tile__pick >> nth=0", ".tile__pick >> nth=2")),
    Screen("library-empty", "/library/", "nina"),
    Screen("library-nothing", "/library/?q=nothing"),
    Screen("library-folder", "/library/?folder={folder}"),
    Screen("explore", "/explore/"),
    Screen("explore-signed-out", "/explore/", ""),
    Screen("public-picture", "/pictures/{shown}/", "nina"),
    Screen("report", "/pictures/{shown}/", "nina", click=("text=Report",)),
    Screen("report-page", "/pictures/{shown}/report/", "nina"),
    # the account
    Screen("account", "/account/", light=True),
    Screen("api-keys", "/account/keys/", light=True, whole=True),
    Screen("api-docs", "/api/docs/", ""),
    Screen("api-docs-phota", "/api/docs/phota/", ""),
    Screen("api-moving", "/api/docs/moving/", ""),
    Screen("webhooks", "/account/webhooks/", light=True, whole=True),
    Screen("webhooks-empty", "/account/webhooks/", "nina"),
    Screen("webhooks-secret", "/account/webhooks/", click=("#webhook-secret a >> nth=0",)),
    Screen("webhooks-roll", "/account/webhooks/", click=("#webhook-secret a >> nth=1",)),
    Screen("webhooks-delete", "/account/webhooks/", click=(".endpoint .button--icon >> nth=0",)),
    Screen("delivery", "/account/webhooks/", click=(".delivery a >> nth=0",)),
    Screen("delivery-page", "/account/webhooks/deliveries/{delivery}/"),
    Screen("usage", "/billing/usage/", "carol", light=True, whole=True),
    Screen("plans", "/billing/plans/", "bob", light=True, whole=True),
    Screen("plans-year", "/billing/plans/?every=year", "alice"),
    Screen("plans-signed-out", "/billing/plans/", ""),
    Screen("account-sign-in", "/accounts/login/", ""),
    Screen("account-sign-up", "/accounts/signup/", ""),
    Screen("account-code", "/accounts/login/code/", ""),
    Screen("account-password-reset", "/accounts/password/reset/", ""),
    Screen("account-inactive", "/accounts/inactive/", ""),
    Screen("account-password", "/accounts/password/change/"),
    Screen("account-two-factor", "/accounts/2fa/"),
    Screen("account-authenticator", "/accounts/2fa/totp/activate/"),
    Screen("account-passkey", "/accounts/2fa/webauthn/add/"),
    Screen("account-passkeys", "/accounts/2fa/webauthn/", "bob"),
    Screen("account-recovery-codes", "/accounts/2fa/recovery-codes/", "bob"),
    Screen("account-devices", "/accounts/sessions/"),
    Screen("account-sign-out", "/accounts/logout/"),
    Screen("account-reauthenticate", "/accounts/reauthenticate/"),
    # wrong turns
    Screen("not-found", "/nowhere/", ""),
    *(Screen(f"error-{code}", f"/errors/{code}/", "") for code in
      ("400", "403", "403_csrf", "429", "500")),
    Screen("refusal", "/errors/refusal/"),
    Screen("design", "/help/design/", light=True, whole=True),
)  # fmt: skip
PLACES = [(screen, size) for size in SIZES for screen in SCREENS if screen.only in ("", size)]


def show(page: Page, screen: Screen, *, rows: Mapping[str, str], photo: Path) -> None:
    """Leads `page` (signed in, with the studio as its base) to what `screen` names."""
    page.set_default_timeout(PATIENCE_MS)
    page.add_init_script(
        "if (localStorage.length === 0) localStorage.setItem('photo-tutorial-seen', 'yes')"
    )
    answer = page.goto(screen.path.format(**rows), wait_until="load")
    expected = 404 if screen.name == "not-found" else 200
    assert answer and answer.status == expected, f"{screen.name}: {answer and answer.status}"
    if screen.photo:
        page.set_input_files("#file", photo)
        page.wait_for_selector("#reference-preview[data-state=ready]")
    if screen.fill:
        page.fill(*screen.fill)
    for selector in screen.click:
        if page.locator(selector).count() and page.locator(selector).first.is_visible():
            # Away from what sticks to an edge; forced, as one may look disabled and be pressed.
            page.locator(selector).first.evaluate("e => e.scrollIntoView({block: 'center'})")
            page.locator(selector).first.click(force=True)
            _quiet(page)
    _quiet(page)


def _quiet(page: Page) -> None:
    """Until nothing is on its way: no request of htmx, no picture in sight."""
    page.wait_for_timeout(150)  # ms; a click's request has begun by then
    page.wait_for_function("() => !document.querySelector('.htmx-request')")
    with suppress(TimeoutError):  # a lazy picture that is clipped away never comes
        page.wait_for_function(SETTLED, timeout=10_000)
    page.wait_for_timeout(100)  # ms; what was swapped has been laid out
