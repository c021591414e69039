"""Pages of HTML that need no other file, and what they are made of."""

import base64
import html
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

from jump_tf.reporting import files

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; margin: 2rem auto;
  max-width: 64rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem;
  border-bottom: 1px solid #ddd; } h3 { font-size: 1rem; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; margin: .6rem 0; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #e6e6e6;
  text-align: right; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; } img { max-width: 100%; height: auto; }
.wide th:first-child, .wide td:first-child { position: sticky; left: 0;
  background: #fff; }
.wide td:not(:first-child) { white-space: nowrap; }
.wide tr.first td { background: #eef4fb; font-weight: 600; }
b.best { font-weight: 700; text-decoration: underline; }
table small { color: #777; display: block; white-space: nowrap; }
details > summary { cursor: pointer; color: #1f5fa8; margin: .6rem 0; }
figure { margin: 1rem 0; } figcaption, p.note { color: #555; font-size: 13px; }
p.lost { border-left: 4px solid #b8860b; padding-left: .8rem; }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: 13px; }
"""


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        text: what it says.
        small: what it says below, in small print; it may have lines.
        best: whether it is the best of its column.
    """

    text: str
    small: str = ""
    best: bool = False


def write(path: pathlib.Path, title: str, body: Iterable[str]) -> pathlib.Path:
    """Writes a page of parts in HTML; returns its path."""
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{html.escape(title)}</title>\n"
        f"<style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )
    with files.whole(path) as out:
        out.write(page)
    return path


def section(title: str, *parts: str) -> str:
    """A heading and what is below it."""
    return f"<h2>{html.escape(title)}</h2>\n" + "\n".join(parts)


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    of_kind = f' class="{kind}"' if kind else ""
    return f"<p{of_kind}>{html.escape(text)}</p>"


def bullets(texts: Iterable[str]) -> str:
    """A list of plain texts, nothing for none."""
    inner = "".join(f"<li>{html.escape(text)}</li>" for text in texts)
    return f"<ul>{inner}</ul>" if inner else ""


def folded(summary: str, *parts: str) -> str:
    """What opens when it is asked for."""
    inner = "".join(parts)
    return (
        f"<details><summary>{html.escape(summary)}</summary>{inner}</details>"
    )


def table(
    header: Iterable[str],
    rows: Iterable[Iterable[str | Cell]],
    first: str | None = None,
) -> str:
    """A table that scrolls where the page is narrow.

    Args:
        header: its first row.
        rows: the others.
        first: what the row begins with that shall stand out.
    """

    def row(cells, tag):
        cells = [
            Cell(cell) if isinstance(cell, str) else cell for cell in cells
        ]
        chosen = first is not None and tag == "td" and cells[0].text == first
        inner = "".join(f"<{tag}>{_cell(cell)}</{tag}>" for cell in cells)
        start = '<tr class="first">' if chosen else "<tr>"
        return f"{start}{inner}</tr>"

    lines = [row(header, "th"), *(row(cells, "td") for cells in rows)]
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def image(png: bytes, what: str) -> str:
    """A picture inside the page."""
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(what)}" src="data:image/png;base64,{data}">'


def figure(png: bytes, what: str, caption: str) -> str:
    """A picture and what is to be seen on it."""
    text = html.escape(caption)
    return f"<figure>{image(png, what)}<figcaption>{text}</figcaption></figure>"


def _cell(cell: Cell) -> str:
    text = html.escape(cell.text)
    text = f'<b class="best">{text}</b>' if cell.best else text
    return text + "".join(
        f"<small>{html.escape(line)}</small>"
        for line in cell.small.splitlines()
    )
