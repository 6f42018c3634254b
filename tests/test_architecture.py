"""What imports may do, and words that must not appear: read from the source itself."""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import BASE_DIR

FLOORS = ["accounts", "billing", "generator", "studio"]  # each may import itself and those before
SOURCES = sorted(path for floor in FLOORS for path in (BASE_DIR / floor).rglob("*.py"))
LATE = ("apps.py", "worker.py")  # models can be imported only once Django has been set up
TEMPLATES = sorted((BASE_DIR / "templates").rglob("*.html"))
VENDOR = BASE_DIR / "static" / "vendor"
STYLES = sorted((BASE_DIR / "static" / "css").glob("*.css"))
# What the compositor moves by itself; anything else is painted anew for every frame.
COMPOSITED = {"transform", "translate", "scale", "rotate", "opacity"}
Place = tuple[str, ast.Import | ast.ImportFrom, bool]


def name_of(path: Path) -> str:
    return str(path.relative_to(BASE_DIR))


def imports(path: Path) -> Iterator[Place]:
    """Every imported module, the statement, and whether it stands inside a function."""
    tree = ast.parse(path.read_text())
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    inner = {id(n) for function in functions for n in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.module or "", node, id(node) in inner
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node, id(node) in inner) for alias in node.names)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_go_down_and_stand_at_the_top(path: Path) -> None:
    floor = FLOORS.index(path.relative_to(BASE_DIR).parts[0])
    for module, node, is_inner in imports(path):
        if module.split(".")[0] not in FLOORS:
            continue  # somebody else's package, which cannot import ours
        assert FLOORS.index(module.split(".")[0]) <= floor, f"line {node.lineno} imports upward"
        assert not is_inner or path.name in LATE, f"line {node.lineno} dodges the floors"


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if "generator/engine/" in name_of(p)], ids=name_of
)
def test_the_engine_knows_nothing_of_the_web(path: Path) -> None:
    for module, node, _ in imports(path):
        is_ours = module.split(".")[0] in FLOORS
        assert not is_ours or module.startswith("generator.engine"), f"line {node.lineno}"
        assert module.split(".")[0] not in ("django", "channels", "dramatiq"), f"line {node.lineno}"


def test_the_web_loads_no_engine() -> None:
    words = (
        "import sys, studio.asgi\n"
        "from django.urls import get_resolver\n"
        "get_resolver().url_patterns\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'skia', 'cv2'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", words]
    done = subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_source_runs_or_trusts_what_it_reads(path: Path) -> None:
    for module, node, _ in imports(path):
        assert module not in ("pickle", "marshal", "shelve", "dill"), f"line {node.lineno}"
    for part in ast.walk(ast.parse(path.read_text())):
        words = ast.unparse(part) if isinstance(part, ast.Attribute | ast.Name) else ""
        assert words not in ("torch.load", "mark_safe", "eval", "exec", "yaml.load"), words
        assert not isinstance(part, ast.keyword) or part.arg != "trust_remote_code"


ASKING = ("http.client", "urllib.request", "requests", "httpx", "urllib3", "aiohttp")
DOORS = (  # the guarded one in its two halves, and `manage.py studio` asking whether it is up
    "generator/assets/wire.py",
    "generator/assets/fetch.py",
    "studio/management/commands/studio.py",
)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_strangers_urls_are_asked_through_one_door(path: Path) -> None:
    for module, node, _ in imports(path):
        is_door = module not in ASKING or name_of(path) in DOORS
        assert is_door, f"line {node.lineno}: see generator/assets/fetch.py"


INLINE = {
    "a script without a file": re.compile(r"<script(?![^>]*(\bsrc=|application/json))[^>]*>", re.I),
    "a style element": re.compile(r"<style\b", re.I),
    "a style attribute": re.compile(r"<[^>]*\sstyle\s*=", re.I),
    "an event handler": re.compile(r"<[^>]*\s(on[a-z]+|hx-on[:-][\w:.-]*)\s*=", re.I),
    "a javascript: address": re.compile(r"javascript:", re.I),
    "something from another host": re.compile(r"<(script|link|img)[^>]*(src|href)=.https?:", re.I),
    "text that is not escaped": re.compile(r"(?<!totp_svg)\|\s*safe\b|autoescape off"),
}


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_templates_keep_to_the_content_security_policy(path: Path) -> None:
    text = path.read_text()
    for what, pattern in INLINE.items():
        assert not pattern.findall(text), what


def test_every_vendored_file_has_its_checksum_and_licence() -> None:
    paper = (VENDOR / "README.md").read_text()
    files = [path for path in VENDOR.iterdir() if path.suffix in (".js", ".css")]
    assert files
    for path in files:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert f"`{path.name}` | `{digest}`" in paper, path.name
        assert re.search(rf"`{path.name}` \| npm .* \| (0BSD|MIT|BSD-\S+|Apache-2.0) \|", paper)


@pytest.mark.parametrize("path", STYLES, ids=name_of)
def test_what_moves_by_itself_is_not_painted_anew(path: Path) -> None:
    """A shimmer of backgrounds once took half of a phone's main thread."""
    for name, frames in re.findall(r"@keyframes (\S+) \{((?:[^{}]*\{[^{}]*\})*)", path.read_text()):
        moved = set(re.findall(r"([a-z-]+):", frames))
        assert moved and moved <= COMPOSITED, f"{name}: {moved - COMPOSITED}"
