"""Report pages: their content, and the settings that write them."""

import re
from html.parser import HTMLParser

from helpers.runs import tiny


class Page(HTMLParser):
    """The tags of a page, its headings, what is folded, and its pictures and maps by alternative text."""

    def __init__(self, folder):
        super().__init__()
        self.text = (folder / "report" / "index.html").read_text(encoding="utf-8")
        self.tags, self.headings, self.folded, self.pictures = [], [], [], {}
        self.feed(self.text)
        self.maps = {
            alt: drawing for alt, drawing in re.findall(r'role="img" aria-label="([^"]*)">(.*?)</svg>', self.text, re.S)
        }

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "img":
            self.pictures[dict(attrs)["alt"]] = dict(attrs)["src"]

    def handle_data(self, data):
        kept = {"h2": self.headings, "summary": self.folded}.get(self.tags[-1][0] if self.tags else "")
        if kept is not None and data.strip():
            kept.append(data)
            self.tags.append(("", {}))


def with_report(**changes):
    config = tiny(**changes)
    config.report = True
    return config
