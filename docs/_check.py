"""Read the built site: every link leads somewhere, nothing is loaded from elsewhere, no notebook is littered.

python docs/_check.py docs/_build/html
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Attributes by which a page loads a file, by tag; a link to click on may lead outside.
LOADS = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
#: Links of a page's head that are addresses and load nothing.
NAMES_ONLY = {"canonical", "alternate", "search", "index", "next", "prev", "author"}
LITTER = ("Traceback (most recent call last)", "it/s]", "s/it]")


class Page(HTMLParser):
    """Names, links and loaded files of a page, and the text of its notebook outputs."""

    def __init__(self, path: Path):
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.litter: list[str] = []
        text = path.read_text(encoding="utf-8")
        self.feed(text)
        if "/gallery/" in path.as_posix():
            self.litter = [mark for mark in LITTER if mark in text]
            if 'class="output stderr' in text:
                self.litter.append("what a cell wrote to standard error")

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.names |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        address = found.get(LOADS.get(tag, ""))
        if address and not (tag == "link" and set((found.get("rel") or "").split()) & NAMES_ONLY):
            self.loaded.append(address)


def faults(site: Path) -> list[str]:
    """What is wrong with a built site, a line each."""
    pages = {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}
    found = []
    for path, page in pages.items():
        here = path.relative_to(site)
        found += [f"{here}: a notebook shows {mark}" for mark in page.litter]
        for address in page.links + page.loaded:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if address in page.loaded and parts.scheme != "data":
                    found.append(f"{here}: loads {address} from elsewhere")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                found.append(f"{here}: {address} leads nowhere")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
                found.append(f"{here}: {address}: no such place on that page")
    if not pages:
        found.append(f"there are no pages in {site}")
    return sorted(set(found))


if __name__ == "__main__":
    wrong = faults(Path(sys.argv[1]).resolve())
    print(*wrong, sep="\n", end="\n" if wrong else "")
    sys.exit(f"{len(wrong)} faults" if wrong else None)
