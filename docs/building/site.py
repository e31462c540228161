"""What MkDocs does not do by itself: pages from outside docs/, links as on a disk, and lists that
the program itself makes.

A page's links lead to files of the repository, as an editor follows them. In the manual they lead
to the same files' pages: those of docs/, those outside that the navigation names, and of any other
file its text, under source/, so that the manual is whole without the repository beside it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import reference_pages  # beside this file, which is where MkDocs looks
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
_CODE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")
_MADE = re.compile(r"^<!-- made: (\w+) -->$", re.MULTILINE)
_PICTURES = {".svg", ".png"}
_SPEAKS = {".py": "python", ".yaml": "yaml", ".cfg": "ini", ".cpp": "cpp", ".service": "ini"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what the pages of docs/ and the navigation lead to."""
    # A program of docs/ is no page by itself; what leads to it brings its text.
    known = {_in_repository(f.src_uri) for f in files if not f.src_uri.endswith(".py")}
    waiting = [ROOT / path for path in known if path.endswith(".md")]
    waiting += [ROOT / path for path in _named(config.nav) if (ROOT / path).is_file()]
    while waiting:
        page = waiting.pop()
        path = page.relative_to(ROOT).as_posix()
        if path not in known:
            known.add(path)
            files.append(_file(path, config))
        if page.suffix == ".md":
            waiting += [ROOT / leads for leads in _leads_to(page, path) if leads not in known]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page's links as they are in the manual, and its made lists in their place."""
    here = _in_repository(page.file.src_uri)

    def link(found: re.Match[str]) -> str:
        text, leads, place = found[1], _joined(here, found[2]), found[3] or ""
        if not (ROOT / leads).is_file():
            return text  # a folder: the text names it
        there = posixpath.relpath(
            _in_the_manual(leads), posixpath.dirname(page.file.src_uri) or "."
        )
        return f"[{text}]({there}{place})"

    # A source's own text is no page's.
    told = (
        markdown
        if page.file.src_uri.startswith("source/")
        else _outside_code(markdown, _LINK, link)
    )
    return _MADE.sub(lambda found: reference_pages.MAKERS[found[1]](), told)


def _file(path: str, config: MkDocsConfig) -> File:
    uri = _in_the_manual(path)
    if uri == path:
        return File.generated(config, uri, abs_src_path=str(ROOT / path))
    text = (ROOT / path).read_text(encoding="utf-8")
    language = _SPEAKS.get(Path(path).suffix, "text")
    content = f"---\nsearch: {{exclude: true}}\n---\n\n# {path}\n\n````{language}\n{text}````\n"
    return File.generated(config, uri, content=content)


def _in_the_manual(path: str) -> str:
    """Where a file of the repository lies in the manual."""
    if path.startswith("docs/") and not path.endswith(".py"):
        return path.removeprefix("docs/")
    return path if Path(path).suffix in {".md", *_PICTURES} else f"source/{path}.md"


def _in_repository(uri: str) -> str:
    """The file of the repository that a file of the manual is."""
    if uri.startswith("source/"):
        return uri.removeprefix("source/").removesuffix(".md")
    return f"docs/{uri}" if (ROOT / "docs" / uri).exists() else uri


def _leads_to(page: Path, path: str) -> Iterator[str]:
    for part in _CODE.split(page.read_text(encoding="utf-8"))[::2]:
        for _, leads, _ in _LINK.findall(part):
            if (ROOT / _joined(path, leads)).is_file():
                yield _joined(path, leads)


def _joined(path: str, leads: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), leads))


def _named(nav: object) -> Iterator[str]:
    """Every page of the navigation."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict | list):
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from _named(part)


def _outside_code(markdown: str, what: re.Pattern[str], by: Callable[[re.Match[str]], str]) -> str:
    parts = _CODE.split(markdown)
    parts[::2] = [what.sub(by, part) for part in parts[::2]]
    return "".join(parts)
