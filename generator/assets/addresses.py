"""What a stranger's URL names: read strictly, resolved once, public by our own list.

`ipaddress.is_private` misses 18 of 46 special addresses (6to4, NAT64, multicast and others), so
what is closed stands here. Knows nothing of connections; `fetch` asks, `wire` connects.
"""

from __future__ import annotations

import re
import socket
import threading
import unicodedata
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address, ip_network
from queue import Empty, SimpleQueue
from urllib.parse import quote

import idna
from django.conf import settings

URL_MAX = 2048  # characters
PORTS = frozenset({80, 443, 8080, 8443})
USUAL = {"http": 80, "https": 443}
# IANA's special-purpose registries (2025), and what is public by number only.
CLOSED_4 = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24",
        "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
        "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # Azure's machine agent answers here
    )
)  # fmt: skip
OPEN_6 = ip_network("2000::/3")  # global unicast: all else in IPv6 is closed
CLOSED_6 = tuple(
    ip_network(text)
    for text in (
        "2001::/23",  # protocols: Teredo, ORCHID, benchmarking
        "2001:db8::/32", "3fff::/20",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # 6bone, given back
    )
)  # fmt: skip
ISATAP = (0x00005EFE, 0x02005EFE)  # RFC 5214: the upper half of an interface's number
# RFC 6761, 6762 (appendix G), 7686, 8375 and ICANN's .internal: never a server for everybody.
CLOSED_NAMES = frozenset(
    {"arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain",
     "localhost", "onion", "private", "test"}
)  # fmt: skip
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.I)
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9a-f:.]+\]|[^\[\]/?#@:%]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<target>[/?][^#]*)?(?:#.*)?",
    re.I,
)
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DOTS = "\u3002\uff0e\uff61\u2024"  # IDNA reads the first three as a dot; the last looks like one


class NotAsked(Exception):
    """This URL is never asked. `reason`: long, form, scheme, userinfo, port or address."""

    def __init__(self, reason: str, host: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.host = host


@dataclass(frozen=True)
class Url:
    """A URL in parts that can be put on the wire as they are."""

    scheme: str  # http or https
    host: str  # a name in lower-case ASCII, or an address; IPv6 without brackets
    port: int
    target: str  # path and query, in ASCII

    @property
    def netloc(self) -> str:
        """As FETCH_ALLOW writes it: host:port, IPv6 in brackets."""
        return f"{self._bracketed}:{self.port}"

    @property
    def authority(self) -> str:
        """As a Host header writes it: without the usual port."""
        return self._bracketed if self.port == USUAL[self.scheme] else self.netloc

    @property
    def is_exempt(self) -> bool:
        return self.netloc in {pair.strip().lower() for pair in settings.FETCH_ALLOW}

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parsed(text: str) -> Url:
    """Raises NotAsked. Whatever two readers could read differently is refused."""
    if len(text) > URL_MAX:
        raise NotAsked("long")
    if any(char == "\\" or unicodedata.category(char)[0] in "ZC" for char in text):
        raise NotAsked("form")
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() not in USUAL:
        raise NotAsked("scheme")
    if "@" in re.split("[/?#]", text.partition("://")[2], maxsplit=1)[0]:
        raise NotAsked("userinfo")
    found = _URL.fullmatch(text)
    if found is None:
        raise NotAsked("form")
    name = found["scheme"].lower()
    target = quote(found["target"] or "/", safe="/%?:&=~+!$,;'@()*[]|")
    url = Url(
        scheme=name,
        host=_host(found["host"]),
        port=int(found["port"] or USUAL[name]),
        target=target if target.startswith("/") else f"/{target}",
    )
    if not url.is_exempt:
        _check(url)
    return url


def resolved(url: Url, timeout_s: float) -> list[str]:
    """The addresses behind the host, all of them public. Raises NotAsked, OSError.

    The only place that asks for a name: who connects, connects to one of these.
    """
    try:
        found = _looked_up(url, timeout_s)
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            raise
        # The same words as for a closed address: nobody learns which names exist inside.
        raise NotAsked("address", url.host) from error
    if not found or not (url.is_exempt or all(map(is_public, found))):
        raise NotAsked("address", url.host)
    return found


def is_public(text: str) -> bool:
    """Whether everybody may reach this address. Nothing that carries another address inside is."""
    address = ip_address(text)
    if isinstance(address, IPv4Address):
        return not any(address in network for network in CLOSED_4)
    is_isatap = (int(address) >> 32) & 0xFFFFFFFF in ISATAP
    return (
        address in OPEN_6
        and address.scope_id is None
        and not is_isatap
        and not any(address in network for network in CLOSED_6)
    )


def _check(url: Url) -> None:
    if url.port not in PORTS:
        raise NotAsked("port", url.host)
    if ":" in url.host or _NUMBER.fullmatch(url.host.rpartition(".")[2]):
        if not is_public(url.host):
            raise NotAsked("address", url.host)
    elif "." not in url.host or url.host.rpartition(".")[2] in CLOSED_NAMES:
        raise NotAsked("address", url.host)


def _host(text: str) -> str:
    """The host as it is asked for. Raises NotAsked for every spelling but the plain ones."""
    try:
        if text.startswith("["):
            return str(IPv6Address(text[1:-1]))
        host = (text if text.isascii() else _in_ascii(text)).lower()
        if _NUMBER.fullmatch(host.rpartition(".")[2]):  # 127.1, 0x7f000001 and 2130706433 as well
            return str(IPv4Address(host))
    except (AddressValueError, idna.IDNAError) as error:
        raise NotAsked("form") from error
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise NotAsked("form")
    return host


def _in_ascii(text: str) -> str:
    """An international name as DNS has it; refused where it hides a digit or a dot."""
    for char in text:
        if char.isascii():
            continue
        plain = unicodedata.normalize("NFKC", char)
        if char in _DOTS or any(part == "." or part.isdigit() for part in plain):
            raise NotAsked("form")
    return idna.encode(text, uts46=True, std3_rules=True).decode()


def _looked_up(url: Url, timeout_s: float) -> list[str]:
    """getaddrinfo has no time limit of its own, so it is waited for from outside."""
    answers: SimpleQueue[list[str] | OSError] = SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except OSError as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return answer
