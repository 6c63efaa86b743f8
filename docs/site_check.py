"""Check the built site: it asks no other host for anything, every link and picture exists, no markup stands as text.

Usage: python docs/site_check.py FOLDER
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
UNLOADED = {"canonical", "next", "prev", "search", "index", "author", "copyright", "license"}  # rel of <link>
IN_STYLES = re.compile(r"(?:url\(|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)")


RAW = re.compile(r":(?:func|class|meth|mod|ref|doc):")  # a role of reStructuredText in a page of Markdown


class Page(HTMLParser):
    """What a page loads, what it links to, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Keep what a tag names."""
        attributes = {name: value or "" for name, value in attrs}
        self.anchors |= {attributes[name] for name in ("id", "name") if name in attributes}
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        elif attributes.get(LOADED.get(tag, "")) and attributes.get("rel") not in UNLOADED:
            self.loads.append(attributes[LOADED[tag]])


def faults(folder: Path) -> list[str]:
    """Return what is wrong with a built site, a line each."""
    folder = folder.resolve()
    pages = {
        path: Page(path.read_text("utf-8")) for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts
    }
    found = [] if pages else [f"{folder}: no pages"]
    for path, page in pages.items():
        place = path.relative_to(folder)
        found += [f"{place}: {role} stands there as text" for role in RAW.findall(path.read_text("utf-8"))]
        for target in (*page.loads, *page.links):
            parts = urlsplit(target)
            if parts.scheme == "data" or (target in page.links and parts.scheme in ("http", "https", "mailto")):
                continue
            if parts.scheme or parts.netloc:
                found.append(f"{place}: asks another host for {target}")
                continue
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not file.is_file():
                found.append(f"{place}: {target} leads nowhere")
            elif parts.fragment and file in pages and unquote(parts.fragment) not in pages[file].anchors:
                found.append(f"{place}: {target}: no such place on that page")
    for style in sorted(folder.rglob("*.css")):
        for target in IN_STYLES.findall(style.read_text("utf-8")):
            found.append(f"{style.relative_to(folder)}: asks another host for {target}")
    return found


if __name__ == "__main__":
    wrong = faults(Path(sys.argv[1]))
    print("\n".join(wrong), end="\n" if wrong else "")
    sys.exit(bool(wrong))
