"""A hook of mkdocs: fills generated pages, takes up pages from elsewhere in the repository, and checks their links.

Pages of the repository are written for a reader on GitHub. So links to files that are no page of the site become plain
text here, and links between pages are turned to the names that they have on the site.
"""

from __future__ import annotations

import os.path
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File
from reference_pages import GENERATED

ROOT = Path(__file__).parents[1]
ELSEWHERE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    "cluster/README.md": "cluster-files.md",
}
"""Pages from elsewhere in the repository, with their names on the site."""

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"<!-- generated: ([a-z-]+) -->")


def on_config(config: Any) -> Any:
    """Add the pages that the navigation does not name."""
    pages = {str(path.relative_to(config.docs_dir)) for path in Path(config.docs_dir).rglob("*.md")}
    if left_over := sorted(pages - _named(config.nav)):
        config.nav.append({"More": left_over})
    return config


def _named(nav: Any) -> set[str]:
    if isinstance(nav, str):
        return {nav}
    return set().union(*(_named(item) for item in (nav.values() if isinstance(nav, dict) else nav)))


def on_files(files: Any, config: Any) -> Any:
    """Take up the pages from elsewhere."""
    for source, name in ELSEWHERE.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill in what is generated, and turn links."""
    name = page.file.src_uri
    source = next((one for one, target in ELSEWHERE.items() if target == name), f"docs/{name}")
    markdown = _MARK.sub(lambda mark: GENERATED[mark[1]](), markdown)
    parts = _FENCE.split(markdown)
    return "".join(part if part.startswith("```") else turned(part, source) for part in parts)


def turned(text: str, source: str) -> str:
    """Return text with links that work on the site.

    Args:
        text: Markdown without fenced code.
        source: Path of its file in the repository.
    """

    def link(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        path, mark, anchor = target.partition("#")
        if "://" in target or not path or target.startswith("mailto:"):
            return found[0]
        place = os.path.normpath(os.path.join(os.path.dirname(source), path))
        page = ELSEWHERE.get(place, place.removeprefix("docs/") if place.startswith("docs/") else None)
        if page is not None:
            return f"{picture}[{words}]({page}{mark}{anchor})"
        if not (ROOT / place).exists():
            return found[0]  # mkdocs reports it as broken
        return words if "`" in words else f"`{words}`"

    return _LINK.sub(link, text)
