"""The one door to what a stranger's URL names, and to where callbacks are posted.

A URL is read strictly, its host resolved once, every address checked against our own list, and the
connection goes to the checked address; each redirect starts from nothing. No cookies, no proxies
and no secrets go along. It waits for the network, so only workers and the API call it.
"""

from __future__ import annotations

import binascii
import http.client
import logging
import re
import ssl
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import parse_qs, urljoin

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.files.storage import default_storage

from accounts.models import User
from billing.refusals import Refusal
from generator.assets import addresses, first_bytes, services, wire
from generator.assets.addresses import NotAsked, Url
from generator.assets.models import Asset
from generator.assets.services import UPLOAD_MAX
from generator.assets.wire import Deadline, Failed

log = logging.getLogger(__name__)

DEADLINE_S = 20  # everything together, like the decoder's
REDIRECTS_MAX = 3
REDIRECTS = (301, 302, 303, 307, 308)
ENCODED_MAX = 4 * -(-UPLOAD_MAX // 3)  # characters of base64, without blanks
ANSWER_MAX = 0  # bytes of body that a callback's answer may have beside its head: none are read
NEVER = {
    "long": f"This address is longer than {addresses.URL_MAX} characters.",
    "form": "This is not a valid web address.",
    "scheme": "An address must begin with https:// or http://.",
    "userinfo": "An address must not contain a user name or a password.",
    "port": "An address may name the ports 80, 443, 8080 and 8443 only.",
    "address": "This address leads to no public server. Please check it.",
    "downgrade": "This address leads from https:// to http://. Please use the final address.",
}
UNREACHABLE = {
    "time": "The server at this address took too long.",
    "size": "What lies at this address is too large.",
    "status": "The server at this address did not hand anything out. Is it open to everybody?",
    "redirects": "This address leads on too often. Please use the final address.",
    "tls": "The server at this address has no valid certificate.",
    "connection": "The server at this address could not be reached. Please try again later.",
}
UNFIT = "The server at this address did not answer properly."
_MEDIA = re.compile(r"/media/([0-9a-f-]{36})/?(?:\?([^#]*))?(?:#.*)?", re.I)
_DATA = re.compile(r"data:image/[a-z0-9.+-]{1,40};base64,", re.I)
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_BLANK = re.compile(r"[ \t\r\n]+")


def get(url: str, *, limit: int = UPLOAD_MAX) -> bytes:
    """What lies at this URL, at most `limit` bytes. Raises Refusal bad_url or url_unreachable."""
    with _in_words():
        deadline = Deadline(DEADLINE_S)
        at = addresses.parsed(url)
        for _ in range(REDIRECTS_MAX + 1):
            with wire.asked(
                at, "GET", deadline=deadline, limit=limit, headers=_headers()
            ) as answer:
                if answer.status == 200:
                    return wire.whole_body(answer, limit)
                at = _next(at, answer)
        raise Failed("redirects")


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The status answered. Follows no redirect and reads no body. Raises Refusal like `get`."""
    with _in_words():
        at = addresses.parsed(url)
        with wire.asked(
            at,
            "POST",
            deadline=Deadline(DEADLINE_S),
            limit=ANSWER_MAX,
            body=body,
            headers={**_headers(), **headers},
        ) as answer:
            return answer.status


def is_allowed(url: str) -> None:
    """Raises the Refusal that `get` would, before any packet but the name lookup's."""
    with _in_words():
        addresses.resolved(addresses.parsed(url), Deadline(DEADLINE_S).left())


def picture(user: User | AnonymousUser, value: str) -> bytes:
    """What an API field holds: a URL, one of our own, `data:image/…;base64,` or bare base64.

    A picture by its first bytes; the intake decodes it. Raises Refusal bad_image, bad_url,
    url_unreachable or not_found.
    """
    value = value.strip()
    if is_own(value):
        return _read(own_asset(user, value))
    data = _decoded(value) if not _is_url(value) else get(value)
    try:
        first_bytes.sniff(data)
    except first_bytes.Rejected as error:
        raise Refusal("bad_image", error.message, status=400) from error
    return data


def is_own(value: str) -> bool:
    """Whether this URL names something of this studio, which is never asked over the network."""
    return any(value[: len(site) + 1].lower() == f"{site}/" for site in _sites())


def own_asset(user: User | AnonymousUser, value: str) -> Asset:
    """The picture this studio's own URL names, where this person may see it. Raises not_found."""
    value = value.strip()[: addresses.URL_MAX]
    sites = [site for site in _sites() if value.lower().startswith(f"{site}/")]
    found = _MEDIA.fullmatch(value[len(sites[0]) :]) if sites else None
    try:
        id = uuid.UUID(found[1] if found else "")
    except ValueError:
        raise _not_found() from None
    share = parse_qs(found[2] or "").get("share", [""])[0] if found else ""
    share = share if share.isprintable() else ""  # PostgreSQL takes no NUL
    visible = Asset.objects.visible_to(user, share=share).select_related("owner")
    asset = visible.filter(id=id).first()
    if asset is None:
        raise _not_found()
    return asset


def _not_found() -> Refusal:
    return Refusal("not_found", "There is no such picture.", status=404)


def _sites() -> set[str]:
    return {settings.SITE_URL.lower(), *(origin.lower() for origin in settings.ORIGINS)}


def _read(asset: Asset) -> bytes:
    """What the media door would hand out: with the mark, where the owner's plan shows one."""
    if asset.is_clip:
        raise Refusal("bad_image", first_bytes.NOT_AN_IMAGE, status=400)
    try:
        with default_storage.open(services.shown_name(asset)) as file:
            data: bytes = file.read()
    except FileNotFoundError as error:  # deleted a moment ago
        raise _not_found() from error
    return data


def _is_url(value: str) -> bool:
    """Base64 has neither colons nor dots; a picture in it is longer than any URL."""
    head = value[: addresses.URL_MAX]
    return not _DATA.match(head) and (":" in head or head.startswith("//"))


def _decoded(value: str) -> bytes:
    """Base64 by its strict alphabet, blanks aside; measured before anything is decoded."""
    head = _DATA.match(value)
    text = value[head.end() :] if head else value
    packed = _BLANK.sub("", text) if len(text) <= ENCODED_MAX * 2 else text
    if len(packed) > ENCODED_MAX:
        raise Refusal("bad_image", "This picture is larger than 20 MB.", status=400)
    if len(packed) % 4 or not _BASE64.fullmatch(packed):
        message = "This is neither a web address nor a picture in base64."
        raise Refusal("bad_image", message, status=400)
    return binascii.a2b_base64(packed)


def _headers() -> dict[str, str]:
    return {"User-Agent": settings.SITE_NAME, "Accept": "*/*"}


def _next(at: Url, answer: http.client.HTTPResponse) -> Url:
    """Where an answer leads, checked like any stranger's URL. Raises Failed, NotAsked."""
    location = answer.headers.get("Location", "")
    if answer.status not in REDIRECTS or not location:
        raise Failed("status")
    # Headers are read as Latin-1; servers write UTF-8.
    location = location.encode("latin-1").decode("utf-8", "replace")
    following = addresses.parsed(urljoin(str(at), location))
    if at.scheme == "https" and following.scheme == "http":
        raise NotAsked("downgrade", following.host)
    return following


@contextmanager
def _in_words() -> Iterator[None]:
    """Whatever went wrong, as a Refusal. The log names the reason, never the URL."""
    try:
        yield
    except NotAsked as error:
        log.info("a URL was not asked: %s, host %s", error.reason, error.host or "unread")
        raise Refusal("bad_url", NEVER[error.reason], status=400) from error
    except (Failed, OSError, http.client.HTTPException, ValueError) as error:
        reason = _reason(error)
        log.info("a URL could not be read: %s", reason)
        sentence = UNREACHABLE.get(reason, UNFIT)
        raise Refusal("url_unreachable", sentence, status=400) from error


def _reason(error: Exception) -> str:
    if isinstance(error, Failed):
        return error.reason
    if isinstance(error, TimeoutError):
        return "time"
    if isinstance(error, ssl.SSLError):
        return "tls"
    return "connection" if isinstance(error, OSError) else "form"
