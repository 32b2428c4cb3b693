"""Wording of quantities and literal text on a page."""

from __future__ import annotations

import math
import re
from html import escape
from typing import Final

_CODE: Final = re.compile(r"(`[^`\n]+`)")
_SPECIAL: Final = re.compile(
    r"""
    [\\*$~\[\]<`]              # emphasis, mathematics, links, HTML, code
    | (?<![A-Za-z0-9])_ | _(?![A-Za-z0-9])  # no emphasis within a word
    | &(?=[#A-Za-z0-9]+;)       # an entity
    | :(?=[a-z])                # Streamlit's colours and icons
    | ^\s*[#>+-]                # a heading, a quotation, a list
    | ^\s*\d+(?=[.)]\s)         # a numbered list
    """,
    re.VERBOSE,
)


def duration(seconds: float) -> str:
    """Format a time span in its two largest units, for example "2 h 5 min"."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10 and rest:
        return f"{minutes} min {rest} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h"


def time_left(seconds: float) -> str:
    """Format a remaining time in whole minutes, for example "about 3 min left"."""
    if seconds < 60:
        return "less than 1 min left"
    minutes = math.ceil(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"about {hours} h {rest} min left" if hours else f"about {minutes} min left"


def number(value: float | None, form: str = ".3f") -> str:
    """Format a figure; a dash where there is none."""
    return "–" if value is None else format(value, form)


def file_size(size: float) -> str:
    """Format a number of bytes, for example "1.5 GiB" or "12 MiB"."""
    mib = size / 2**20
    if mib >= 1024:
        return f"{mib / 1024:.1f} GiB"
    return f"{mib:.0f} MiB" if mib >= 1 else "less than 1 MiB"


def place_in_line(ahead: int) -> str:
    """Sentence on how many other jobs come first."""
    others = "1 other" if ahead == 1 else f"{ahead} others"
    return f"Waiting for its turn: {others} first."


def ago(seconds: float) -> str:
    """Format how long ago something was."""
    return "just now" if seconds < 5 else f"{duration(seconds)} ago"


def literal(text: str) -> str:
    """Markdown that shows a sentence literally, whatever paths and names it contains.

    Only pairs of backticks keep their meaning: messages use them for commands and settings.
    """
    parts = _CODE.split(" ".join(text.split("\n")))
    for place in range(0, len(parts), 2):
        parts[place] = _SPECIAL.sub(_escaped, parts[place])
    return "".join(parts)


def chart_text(text: str) -> str:
    """Text that Plotly shows literally, whatever tags and placeholders it contains."""
    return escape(text, quote=False).replace("%{", "%&#123;")


def _escaped(found: re.Match[str]) -> str:
    mark = found.group()
    return f"{mark}\\" if mark.strip().isdigit() else f"{mark[:-1]}\\{mark[-1]}"
