"""The parts of Markdown pages that tests check."""

import re

_GENERATED = re.compile(r"<!-- (\w+): written by .*?<!-- end of \1 -->", re.DOTALL)
_CODE = re.compile(r"^(```+)(.*?)\n(.*?)^\1$", re.DOTALL | re.MULTILINE)


def without_tables_and_code(text):
    """A page without the tables that programs write, and without blocks of code."""
    return _CODE.sub("", _GENERATED.sub("", text))


def blocks(text, language):
    """The blocks of code in a language, as the page has them."""
    return [code for _, name, code in _CODE.findall(text) if name == language]


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
