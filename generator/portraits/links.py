"""Links to a person's own pages elsewhere: two hosts, https, stored in one spelling."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from billing.refusals import Refusal

HOSTS = {
    "TikTok": {"tiktok.com", "www.tiktok.com", "vm.tiktok.com"},
    "Instagram": {"instagram.com", "www.instagram.com"},
}
CANONICAL_HOST = {"tiktok.com": "www.tiktok.com", "instagram.com": "www.instagram.com"}
URL_MAX = 200  # the column's width


def canonical(site: str, sent: str) -> str:
    """`tiktok.com/@ada?x=1` becomes `https://www.tiktok.com/@ada`; nothing stays nothing.

    Raises Refusal("bad_link") for another host, scheme, port, a login in the address, no path.
    """
    sent = sent.strip()
    if not sent:
        return ""
    try:
        parts = urlsplit(sent if "://" in sent else f"https://{sent}")
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise _bad(site) from error
    path = parts.path.rstrip("/")
    is_plain = parts.scheme == "https" and not parts.username and port in (None, 443)
    if not is_plain or host not in HOSTS[site] or not path or not _is_readable(path):
        raise _bad(site)
    url = urlunsplit(("https", CANONICAL_HOST.get(host, host), path, "", ""))
    if len(url) > URL_MAX:
        raise _bad(site)
    return url


def _is_readable(path: str) -> bool:
    """ASCII without blanks, quotes or backslashes: nothing a browser would read differently."""
    return path.isascii() and path.isprintable() and not set(path) & set(" \"'<>\\`{}|^")


def _bad(site: str) -> Refusal:
    example = (
        "https://www.tiktok.com/@name" if site == "TikTok" else "https://www.instagram.com/name"
    )
    return Refusal("bad_link", f"This is not a link to {site}. It looks like {example}")
