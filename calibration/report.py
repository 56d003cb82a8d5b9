"""The report of a run: one self-contained HTML page.

A report is a list of sections: facts, tables, charts and pictures. It loads nothing from
elsewhere, follows the reader's light or dark setting, and fits a phone.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from edge_sdk.files import write_text

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2530; --soft: #5b6777; --line: #d9dfe7; --card: #fff;
  --page: #f4f6f9; --accent: #1668c5; --good: #18794e; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b5; --line: #2c3540;
  --card: #171d25; --page: #0e1319; --accent: #62a8f5; --good: #4cc38a; --bad: #ff8b7e; } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui,
  -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0 0 }
h2 { font-size: 1.1rem; margin: 0 0 .75rem }
.lead, .note, figcaption { color: var(--soft) }
.note, figcaption { font-size: .875rem }
section { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding:
  1rem 1.125rem; margin-top: 1rem; overflow: hidden }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr)); gap: .875rem;
  margin: 0 }
dt { color: var(--soft); font-size: .8125rem }
dd { margin: 0; font-size: 1.125rem; font-weight: 600; overflow-wrap: anywhere }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .9375rem }
th, td { text-align: left; padding: .375rem .75rem .375rem 0; border-bottom: 1px solid
  var(--line); vertical-align: top }
th { color: var(--soft); font-weight: 500 }
td:not(:first-child), th:not(:first-child) { text-align: right; font-variant-numeric: tabular-nums
  }
td:not(:first-child) { white-space: nowrap }
td:first-child { min-width: 8rem; overflow-wrap: anywhere }
.bar { display: grid; grid-template-columns: minmax(7rem, 22rem) 1fr; gap: .25rem .75rem;
  align-items: center; margin: .375rem 0 }
.bar div { overflow-wrap: anywhere }
.bar i { display: block; height: .875rem; border-radius: .25rem; background: var(--accent);
  min-width: 2px }
.bar span { display: flex; gap: .5rem; align-items: center; font-variant-numeric: tabular-nums }
.bar span b { font-weight: 600; white-space: nowrap }
figure { margin: 0 0 .75rem }
img { max-width: 100%; height: auto; border-radius: .5rem; display: block }
svg { width: 100%; height: auto; display: block }
svg text { font-size: 12px; fill: var(--soft) }
svg .label { fill: var(--ink) }
svg .grid { stroke: var(--line) }
svg .front { fill: none; stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 4 3 }
svg .tried { fill: var(--soft) }
svg .baseline { fill: var(--bad) }
svg .chosen { fill: var(--good); stroke: var(--card); stroke-width: 2 }
svg .counts { fill: var(--soft); opacity: .55 }
svg .clip { stroke: var(--accent); stroke-width: 2 }
.chart { max-width: 46rem; margin: 0 auto }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(16rem, 1fr)); gap: .375rem }
@media (max-width: 30rem) { .bar { grid-template-columns: 1fr }
  .chart svg text { font-size: 17px } }
"""


@dataclass
class Report:
    """A page in the making; every method adds one section.

    Attributes
    ----------
    title, lead : the heading and the sentence below it, plain text.
    """

    title: str
    lead: str
    _sections: list[str] = field(default_factory=list)

    def facts(self, heading: str, facts: Sequence[tuple[str, str]], note: str = "") -> None:
        """Add labelled values."""
        items = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts)
        self._add(heading, f"<dl>{items}</dl>", note)

    def table(
        self, heading: str, header: Sequence[str], rows: Sequence[Sequence[str]], note: str = ""
    ) -> None:
        """Add a table; its first column holds words, the others numbers."""
        head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        self._add(heading, f'<div class="scroll">{table}</div>', note)

    def bars(
        self, heading: str, values: Sequence[tuple[str, float]], unit: str, note: str = ""
    ) -> None:
        """Add horizontal bars from zero, one a value."""
        top = max((value for _, value in values), default=0.0) or 1.0
        rows = "".join(
            f'<div class="bar"><div>{escape(name)}</div><span>'
            f'<i style="width:{75 * max(value, 0.0) / top:.1f}%"></i>'
            f"<b>{value:.4g} {escape(unit)}</b></span></div>"
            for name, value in values
        )
        self._add(heading, rows, note)

    def chart(self, heading: str, svg: str, note: str = "") -> None:
        """Add one chart of `charts`."""
        self._add(heading, f'<div class="chart">{svg}</div>', note)

    def charts(self, heading: str, svgs: Sequence[str], note: str = "") -> None:
        """Add small charts side by side."""
        self._add(heading, f'<div class="charts">{"".join(svgs)}</div>', note)

    def pairs(
        self, heading: str, pairs: Sequence[tuple[bytes, bytes, str]], note: str = ""
    ) -> None:
        """Add pairs of pictures, each with a caption; side by side where there is room."""
        self._add(heading, "".join(_figure(list(two), caption) for *two, caption in pairs), note)

    def picture(self, heading: str, image: bytes, caption: str) -> None:
        """Add a PNG or JPEG picture."""
        self._add(heading, _figure([image], caption), "")

    def html(self) -> str:
        """Return the page."""
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{_STYLE}</style></head><body><main>"
            f'<h1>{escape(self.title)}</h1><p class="lead">{escape(self.lead)}</p>'
            f"{''.join(self._sections)}</main></body></html>\n"
        )

    def write(self, path: Path | str) -> None:
        """Write the page, whole or not at all."""
        write_text(path, self.html())

    def _add(self, heading: str, body: str, note: str) -> None:
        remark = f'<p class="note">{escape(note)}</p>' if note else ""
        self._sections.append(f"<section><h2>{escape(heading)}</h2>{body}{remark}</section>")


def _figure(images: Sequence[bytes], caption: str) -> str:
    pictures = "".join(_image(image, caption) for image in images)
    body = f'<div class="pair">{pictures}</div>' if len(images) > 1 else pictures
    return f"<figure>{body}<figcaption>{escape(caption)}</figcaption></figure>"


def _image(image: bytes, caption: str) -> str:
    kind = "png" if image.startswith(b"\x89PNG") else "jpeg"
    source = f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
    return f'<img src="{source}" alt="{escape(caption)}">'
