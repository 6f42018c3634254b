"""The one door to strangers' URLs: what is never asked, what is asked once, and how it ends."""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pytest_django import Settings

from billing.refusals import Refusal
from generator.assets import addresses, fetch, wire
from tests import fetch_vectors as vectors
from tests import hostile_servers as hostile
from tests import pictures
from tests.hostile_servers import Server, page, redirect, serving

PUBLIC, OTHER = "93.184.216.34", "2606:4700::1111"
PNG = pictures.encoded(pictures.scene((300, 300)), "PNG")
Allow = Callable[..., None]
Names = Callable[[str, list[list[str]]], list[str]]

# --- what leaves this process, as the interpreter itself tells it ------------------------
_watched: list[list[tuple[str, object]]] = []
PACKETS = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname")


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if not _watched or event not in PACKETS:
        return
    target = arguments[0] if event.startswith("socket.get") else arguments[1]
    _watched[-1].append((event.removeprefix("socket."), target))
    if event == "socket.connect" and str(target[0]) not in ("127.0.0.1", "::1"):  # type: ignore[index]
        raise ConnectionRefusedError("no test leaves this machine")


sys.addaudithook(_watch)


@pytest.fixture
def packets() -> Iterator[list[tuple[str, object]]]:
    """Name lookups and connections while the test runs; those to other machines are stopped."""
    _watched.append([])
    yield _watched[-1]
    _watched.pop()


@pytest.fixture
def allow(settings: Settings) -> Allow:
    """Exempts servers, under the names given or under their address."""

    def exempt(*servers: Server, name: str = "127.0.0.1") -> None:
        pairs = [f"{name}:{server.port}" for server in servers]
        settings.FETCH_ALLOW = [*settings.FETCH_ALLOW, *pairs]

    return exempt


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """A name server: one answer after the other for a host, the last again and again.

    Returns the list of names that it was asked for. Addresses are answered with themselves.
    """
    known: dict[str, list[list[str]]] = {}
    asked: list[str] = []

    def answer(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        asked.append(host)
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        answers = known[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", answer)

    def tell(host: str, answers: list[list[str]]) -> list[str]:
        known[host] = answers
        return asked

    return tell


@pytest.fixture
def is_trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    def trust(certificate: Path) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        wire.trust.cache_clear()

    yield trust
    wire.trust.cache_clear()


def refused(url: str, **more: int) -> tuple[str, str]:
    with pytest.raises(Refusal) as found:
        fetch.get(url, **more)
    assert found.value.status == 400
    return found.value.code, found.value.message


def never(reason: str) -> tuple[str, str]:
    return "bad_url", fetch.NEVER[reason]


def unreachable(reason: str) -> tuple[str, str]:
    return "url_unreachable", fetch.UNREACHABLE.get(reason, fetch.UNFIT)


# --- never asked --------------------------------------------------------------------------
@pytest.mark.parametrize(("url", "reason"), vectors.REFUSED)
def test_a_bad_url_is_refused_without_a_packet(
    url: str, reason: str, packets: list[tuple[str, object]]
) -> None:
    assert refused(url) == never(reason)
    for ask in (fetch.is_allowed, lambda text: fetch.post(text, b"{}", {})):
        with pytest.raises(Refusal) as found:
            ask(url)
        assert (found.value.code, found.value.message) == never(reason)
    assert packets == []


@pytest.mark.parametrize(("url", "parts"), vectors.READ)
def test_a_good_url_is_read_as_it_goes_on_the_wire(url: str, parts: tuple[str, int, str]) -> None:
    found = addresses.parsed(url)
    assert (found.host, found.port, found.target) == parts


@pytest.mark.parametrize("address", vectors.CLOSED)
def test_a_special_address_is_not_public(address: str) -> None:
    assert not addresses.is_public(address)


@pytest.mark.parametrize("address", vectors.OPEN)
def test_everybodys_address_is_public(address: str) -> None:
    assert addresses.is_public(address)


@pytest.mark.parametrize("answer", vectors.MIXED, ids=" ".join)
def test_a_name_with_one_closed_address_is_not_asked(
    answer: list[str], names: Names, packets: list[tuple[str, object]]
) -> None:
    names("pictures.example", [answer])
    assert refused("http://pictures.example/a.png") == never("address")
    with pytest.raises(Refusal, match="no public server"):
        fetch.is_allowed("https://pictures.example/")
    assert packets == []


def test_a_name_inside_and_no_name_at_all_look_the_same(names: Names) -> None:
    names("inside.example", [["10.0.0.7"]])
    assert refused("http://inside.example/") == refused("http://nowhere.example/")


def test_a_public_name_is_allowed_and_its_checked_addresses_are_tried_in_turn(
    names: Names, packets: list[tuple[str, object]]
) -> None:
    names("pictures.example", [[OTHER, PUBLIC]])
    fetch.is_allowed("https://pictures.example/")
    assert packets == []
    assert refused("http://pictures.example/") == unreachable("connection")
    assert packets == [("connect", (OTHER, 80)), ("connect", (PUBLIC, 80))]


def test_a_name_that_moves_inside_after_the_check_is_not_followed(
    names: Names, packets: list[tuple[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(page(PNG)) as inside:
        monkeypatch.setattr(addresses, "PORTS", frozenset({inside.port}))
        asked = names("rebinding.example", [[PUBLIC], ["127.0.0.1"]])
        code, _ = refused(f"http://rebinding.example:{inside.port}/a.png")
        assert asked == ["rebinding.example"]  # once
        assert packets == [("connect", (PUBLIC, inside.port))]
        assert (code, inside.visitors) == ("url_unreachable", 0)


def test_the_machines_proxies_are_not_asked(allow: Allow, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(page(b"from the proxy")) as proxy, serving(page(PNG)) as server:
        for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        allow(server)
        assert fetch.get(server.url) == PNG
        assert proxy.visitors == 0


# --- asked --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "answer",
    [
        page(PNG),
        page(PNG, length=""),
        hostile.chunked(PNG),
        page(PNG, "Content-Encoding: identity"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + page(PNG),
        b"HTTP/1.0 200 OK\r\n\r\n" + PNG,
    ],
    ids=["length", "till the end", "chunks", "plain", "continue", "old"],
)
def test_what_lies_at_an_address_is_read(answer: bytes, allow: Allow) -> None:
    with serving(answer) as server:
        allow(server)
        assert fetch.get(server.url, limit=len(PNG)) == PNG
        head = server.heads[0].lower()
    assert head.startswith("get /a.png http/1.1\r\n")
    assert f"host: 127.0.0.1:{server.port}\r\n" in head
    assert "accept-encoding: identity" in head
    assert not re.search(r"cookie|authorization|referer|origin", head)


def test_only_the_pair_that_is_named_is_exempt(allow: Allow) -> None:
    with serving(page(PNG)) as named, serving(page(PNG)) as other:
        allow(named)
        assert fetch.get(named.url) == PNG
        assert refused(other.url) == never("port")
        assert refused(named.url.replace("127.0.0.1", "localhost")) == never("port")
        assert other.visitors == 0


def test_an_exempt_name_is_looked_up_once_and_asked_by_its_name(
    allow: Allow, names: Names, packets: list[tuple[str, object]]
) -> None:
    with serving(page(PNG)) as server:
        allow(server, name="store.lan")
        asked = names("store.lan", [["127.0.0.1"], ["127.0.0.9"]])
        assert fetch.get(f"http://Store.LAN:{server.port}/a.png?size=1#top") == PNG
        assert asked == ["store.lan"]
        assert packets == [("connect", ("127.0.0.1", server.port))]
        assert server.heads[0].startswith("GET /a.png?size=1 HTTP/1.1\r\n")
        assert f"Host: store.lan:{server.port}\r\n" in server.heads[0]


@pytest.mark.parametrize("case", hostile.HOSTILE)
def test_a_hostile_server_is_a_sentence(case: str, allow: Allow) -> None:
    answer, reason = hostile.HOSTILE[case]
    with serving(answer) as server:
        allow(server)
        assert refused(server.url, limit=100_000) == unreachable(reason)


@pytest.mark.parametrize("case", hostile.SLOW)
def test_a_slow_server_is_left(case: str, allow: Allow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "DEADLINE_S", 0.5)
    with serving(hostile.SLOW[case]) as server:
        allow(server)
        assert refused(server.url) == unreachable("time")


def test_a_name_server_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    done = hostile.threading.Event()
    monkeypatch.setattr(fetch, "DEADLINE_S", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: done.wait(5) and [])
    try:
        assert refused("http://pictures.example/") == unreachable("time")
    finally:
        done.set()


def test_nobody_listens(allow: Allow) -> None:
    with serving(page(PNG)) as server:
        allow(server)
    assert refused(server.url) == unreachable("connection")


# --- redirects ----------------------------------------------------------------------------
def test_one_host_is_asked_four_times_at_once_and_the_fifth_waits(allow: Allow) -> None:
    inside: list[int] = []
    here, most, a_fifth = threading.Lock(), [0], threading.Event()

    def answer(visitor: socket.socket) -> None:
        with here:
            inside.append(1)
            most[0] = max(most[0], len(inside))
            if len(inside) > wire.AT_ONCE:
                a_fifth.set()
        a_fifth.wait(1)  # whoever may come comes while these are here
        with here:
            inside.pop()
        visitor.sendall(page(PNG))

    with serving(answer) as server, ThreadPoolExecutor(2 * wire.AT_ONCE) as people:
        allow(server)
        found = list(people.map(fetch.get, [server.url] * 2 * wire.AT_ONCE))
    assert found == [PNG] * 2 * wire.AT_ONCE
    assert most == [wire.AT_ONCE]


@pytest.mark.parametrize("status", ["301 A", "302 A", "303 A", "307 A", "308 A"])
def test_a_redirect_is_followed(status: str, allow: Allow) -> None:
    with serving(page(PNG)) as last, serving(redirect(last.url, status)) as first:
        allow(first, last)
        assert fetch.get(first.url) == PNG
        assert first.visitors == last.visitors == 1


@pytest.mark.parametrize(("location", "reason"), vectors.LOOPBACK + vectors.EMBEDDED)
def test_a_redirect_inside_is_not_followed(
    location: str, reason: str, allow: Allow, packets: list[tuple[str, object]]
) -> None:
    if not location.isascii():
        location = location.encode().decode("latin-1")  # how servers write it
    with serving(redirect(location)) as server:
        allow(server)
        code, _ = refused(server.url)
        assert code in ("bad_url", "url_unreachable")
        connects = [target for event, target in packets if event == "connect"]
        assert connects == [("127.0.0.1", server.port)]


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("file:///etc/passwd", "scheme"),
        ("gopher://127.0.0.1/", "scheme"),
        ("//127.0.0.1/", "address"),
        ("http://user@pictures.example/", "userinfo"),
        ("http://pictures.example:22/", "port"),
        ("http://pictures.example/a b", "form"),
        ("https://inside.example/", "address"),
    ],
)
def test_every_redirect_is_checked_from_nothing(
    location: str, reason: str, allow: Allow, names: Names
) -> None:
    with serving(redirect(location)) as server:
        allow(server, name="store.lan")
        names("store.lan", [["127.0.0.1"]])
        names("inside.example", [["127.0.0.1"]])
        assert refused(f"http://store.lan:{server.port}/") == never(reason)
        assert server.visitors == 1


def test_a_redirect_to_a_server_inside_does_not_reach_it(allow: Allow) -> None:
    with serving(page(PNG)) as inside, serving(redirect(inside.url)) as server:
        allow(server)
        assert refused(server.url) == never("port")
        assert inside.visitors == 0


def test_each_hop_looks_its_name_up_once_and_again_checks_it(
    allow: Allow, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(page(PNG)) as inside:
        with serving(redirect(f"http://moving.example:{inside.port}/")) as first:
            monkeypatch.setattr(addresses, "PORTS", frozenset({inside.port}))
            allow(first, name="store.lan")
            asked = names("store.lan", [["127.0.0.1"]])
            names("moving.example", [["127.0.0.1"]])
            assert refused(f"http://store.lan:{first.port}/") == never("address")
        assert asked == ["store.lan", "moving.example"]
        assert inside.visitors == 0


def test_a_loop_ends_after_three_redirects(allow: Allow) -> None:
    with serving(redirect("/a.png?again")) as server:
        allow(server)
        assert refused(server.url) == unreachable("redirects")
        assert server.visitors == 4


def test_redirects_share_one_deadline(allow: Allow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each hop alone takes 0.4 s, less than the time there is."""
    slow = redirect("/again")
    monkeypatch.setattr(fetch, "DEADLINE_S", 1.0)
    with serving(hostile.dripping(slow, len(slow) - 8)) as server:
        allow(server)
        assert refused(server.url) == unreachable("time")


# --- TLS ------------------------------------------------------------------------------------
def test_the_certificate_is_checked_for_the_name_while_connected_to_the_address(
    allow: Allow, names: Names, is_trusted: Callable[[Path], None], tmp_path: Path
) -> None:
    context, certificate = hostile.certificate(tmp_path, "store.lan")
    with serving(page(PNG), context) as server:
        for name in ("store.lan", "other.lan"):
            allow(server, name=name)
            names(name, [["127.0.0.1"]])
        good, other = (f"https://{name}:{server.port}/" for name in ("store.lan", "other.lan"))
        assert refused(good) == unreachable("tls")  # nobody vouches for it
        is_trusted(certificate)
        assert fetch.get(good) == PNG
        assert refused(other) == unreachable("tls")
        assert len(server.heads) == 1


def test_https_never_leads_to_http(
    allow: Allow, names: Names, is_trusted: Callable[[Path], None], tmp_path: Path
) -> None:
    context, certificate = hostile.certificate(tmp_path, "store.lan")
    is_trusted(certificate)
    names("store.lan", [["127.0.0.1"]])
    with serving(page(PNG)) as plain, serving(redirect(plain.url), context) as secure:
        allow(plain)
        allow(secure, name="store.lan")
        assert refused(f"https://store.lan:{secure.port}/") == never("downgrade")
        assert plain.visitors == 0


def test_a_server_without_tls_is_a_sentence(allow: Allow) -> None:
    with serving(b"HTTP/1.1 400 Bad\r\n\r\n") as server:
        allow(server)
        assert refused(server.url.replace("http", "https")) == unreachable("tls")
