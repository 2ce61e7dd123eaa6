"""The parts of Markdown pages that tests check."""

import re

_GENERATED = re.compile(r"<!-- (\w+): written by .*?<!-- end of \1 -->", re.DOTALL)
_NUMBER = re.compile(r"-?\d+\.?\d*")
_CODE = re.compile(r"^(```+)(.*?)\n(.*?)^\1$", re.DOTALL | re.MULTILINE)


def without_tables_and_code(text):
    """A page without the tables that programs write, and without blocks of code."""
    return _CODE.sub("", _GENERATED.sub("", text))


def blocks(text, language):
    """The blocks of code in a language, as the page has them."""
    return [code for _, name, code in _CODE.findall(text) if name == language]


def prints(printed, shown, tolerance=0.02):
    """Whether a program printed the lines that a page shows; numbers may differ by the tolerance."""
    lines, wanted = printed.splitlines(), shown.splitlines()
    windows = (lines[start : start + len(wanted)] for start in range(len(lines) - len(wanted) + 1))
    return any(_same("\n".join(window), "\n".join(wanted), tolerance) for window in windows)


def _same(text, other, tolerance):
    numbers, others = ([float(number) for number in _NUMBER.findall(part)] for part in (text, other))
    words, other_words = (_NUMBER.sub("#", part).split() for part in (text, other))
    return words == other_words and all(abs(a - b) <= tolerance for a, b in zip(numbers, others, strict=True))


def anchors(text):
    """The anchors of the headings of a page, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.*)$", _CODE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(text):
    """The targets of the links and pictures of a page, without anchors, and those of its literalinclude blocks."""
    linked = re.findall(r"\]\(([^()\s#]+)(?:#[^()\s]*)?\)", without_tables_and_code(text))
    included = re.findall(r"^```\{(?:literal)?include\} (\S+)$", text, re.MULTILINE)
    return [target for target in linked if ":" not in target] + included


def sentences(text):
    """The sentences of a page: of paragraphs, list items and cells of tables; a link counts by its words."""
    text = re.sub(r"\]\([^()]*\)", "]", re.sub(r"<!--.*?-->", "", without_tables_and_code(text), flags=re.DOTALL))
    lines = re.sub(r"\n(?=\s*[-|#])", "\n\n", text)
    cells = (cell for part in re.split(r"\n\s*\n", lines) for cell in re.split(r"(?<!\\)\|", part))
    return [sentence for cell in cells for sentence in re.split(r"(?<=[.!?:;]) ", " ".join(cell.split())) if sentence]
