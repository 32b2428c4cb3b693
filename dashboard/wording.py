"""How quantities are said on a page."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Say a time span in its two largest units, for example "2 h 5 min"."""
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


def place_in_line(ahead: int) -> str:
    """Say how many others have to be served first."""
    others = "1 other" if ahead == 1 else f"{ahead} others"
    return f"Waiting for its turn: {others} first."


def ago(seconds: float) -> str:
    """Say how long ago something was."""
    return "just now" if seconds < 5 else f"{duration(seconds)} ago"
