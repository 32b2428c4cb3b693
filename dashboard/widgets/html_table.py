"""Tables as HTML, for cells with symbols, chips or small print that `st.dataframe` cannot draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def html_table(
    headings: Sequence[str | tuple[str, str]],
    rows: Iterable[Sequence[str]],
    *,
    looks: str = "lab-numbers",
    last_row: str = "",
) -> str:
    """Return a table that scrolls sideways where it is too wide.

    Args:
        headings: Heading of each column, or heading and explanation.
        rows: HTML of the cells; text from outside must be escaped.
        looks: CSS classes next to `lab-table`.
        last_row: HTML of a row with its own looks.
    """
    head = "".join(_heading(*((one,) if isinstance(one, str) else one)) for one in headings)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="lab-scroll"><table class="lab-table {looks}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}{last_row}</tbody></table></div>"
    )


def _heading(text: str, explanation: str = "") -> str:
    title = f' title="{escape(explanation)}"' if explanation else ""
    return f"<th{title}>{text}</th>"
