"""Tables for people, from rows of plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text


def table(rows: Sequence[Mapping[str, Any]], title: str | None = None) -> Table:
    """Return a table with one column a key of the first row; numbers are set to the right."""
    result = Table(title=title, title_justify="left")
    columns = list(rows[0]) if rows else []
    for column in columns:
        numeric = all(isinstance(row.get(column), int | float | None) for row in rows)
        result.add_column(column.replace("_", " "), justify="right" if numeric else "left")
    for row in rows:
        result.add_row(*(Text(cell(row.get(column))) for column in columns))
    return result


def cell(value: Any) -> str:
    """Return a value as a person reads it: four significant digits, a dash for nothing there."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value)) or "none"
    return str(value)


def details(values: Mapping[str, Any]) -> Text:
    """Return settings or conditions as one dim paragraph."""
    pairs = (f"{name.replace('_', ' ')} {cell(value)}" for name, value in values.items())
    return Text(", ".join(pairs), style="dim")
