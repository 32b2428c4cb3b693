"""What the index found, for people: a table for the terminal and a page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from pydicom.uid import UID

from core.constants import SYNTHETIC_WARNING
from core.dataset.index import DataIndex
from core.dataset.quality import FLAGS, Flag
from core.dataset.tables import LABEL_COLUMNS
from core.system.atomic_files import write_text

Rows = list[tuple[str, str]]

_SHOWN_IN_TEXT: Final = 3
_SHOWN_IN_LISTS: Final = 5
_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --bar: #2a78d6; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 2rem; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
th[scope] { white-space: nowrap; }
th[scope=row] { font-weight: 500; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.none { opacity: .6; }
.bar { background: var(--bar); height: .7rem; display: block; }
.warning { border-left: 4px solid #c98500; padding: .4rem .8rem; }
ul { margin: .3rem 0; padding-left: 1.2rem; font-family: ui-monospace, monospace; font-size: 13px; }
"""


@dataclass(frozen=True, slots=True)
class FlagCount:
    """One flag and the studies that bear it, sorted."""

    flag: Flag
    studies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QualityReport:
    """The figures of the report.

    Attributes:
        facts: (name, value) about the data set.
        prevalence: (patient_overall or vertebra, positive, labelled).
        flags: In the order of `FLAGS`, also those that no study bears.
        errors: (study, why it cannot be read).
        clean: Studies without any flag.
        synthetic: The data were generated.
    """

    facts: tuple[tuple[str, str], ...]
    prevalence: tuple[tuple[str, int, int], ...]
    flags: tuple[FlagCount, ...]
    errors: tuple[tuple[str, str], ...]
    clean: int
    synthetic: bool


def summarise(index: DataIndex) -> QualityReport:
    """Count what the report shows."""
    studies = index.studies
    flags = tuple(
        FlagCount(flag, tuple(studies.loc[studies[flag.column], "study_id"])) for flag in FLAGS
    )
    broken = studies.loc[studies["error"].notna(), ["study_id", "error"]]
    labelled = _total(studies["labelled"])
    prevalence = tuple((name, _total(studies[name]), labelled) for name in LABEL_COLUMNS)
    flagged = studies[[flag.column for flag in FLAGS]].to_numpy(np.bool_)
    return QualityReport(
        facts=tuple(_facts(index)),
        prevalence=prevalence if labelled else (),
        flags=flags,
        errors=tuple(broken.itertuples(index=False, name=None)),
        clean=int((~flagged.any(axis=1)).sum()),
        synthetic=index.synthetic,
    )


def render_text(index: DataIndex) -> str:
    """Return the report as plain text for a terminal, without a newline at the end."""
    report = summarise(index)
    flags = [
        (f"{len(item.studies)}", item.flag.title, _some(item.studies, _SHOWN_IN_TEXT))
        for item in report.flags
        if item.studies
    ]
    absent = [item.flag.title.lower() for item in report.flags if not item.studies]
    blocks = [
        SYNTHETIC_WARNING if report.synthetic else "",
        _columns(report.facts),
        _columns([(name, _share(hits, total)) for name, hits, total in report.prevalence]),
        _columns([("studies", "flag", "which"), *flags]) if flags else "",
        f"No study has: {', '.join(absent)}." if absent else "",
        "\n".join(error for _, error in report.errors[:_SHOWN_IN_LISTS]),
        _more(len(report.errors) - _SHOWN_IN_LISTS, "unreadable studies"),
    ]
    return "\n\n".join(block for block in blocks if block)


def write_html(index: DataIndex, path: Path) -> None:
    """Write the report as one HTML file that loads nothing from elsewhere.

    Raises:
        StorageError: The file cannot be written.
    """
    write_text(path, render_html(index))


def render_html(index: DataIndex) -> str:
    """Return the page of `write_html`; every text in it is escaped."""
    report = summarise(index)
    warning = f"<p class=warning>{escape(SYNTHETIC_WARNING)}</p>" if report.synthetic else ""
    sections = [
        "<h1>Data quality</h1>",
        warning,
        f"<p>{len(index.studies):,} studies, {report.clean:,} of them without any flag.</p>",
        "<h2>Flags</h2>",
        _flag_table(report.flags),
        "<h2>Studies that cannot be read</h2>" + _html_table(report.errors)
        if report.errors
        else "",
        "<h2>Facts</h2>",
        _html_table(report.facts),
        "<h2>Prevalence</h2>" + _prevalence_table(report) if report.prevalence else "",
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Data quality</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body></html>\n"
    )


def _facts(index: DataIndex) -> Rows:
    studies, slices = index.studies, index.slices
    read = studies.loc[studies["n_slices"] > 0]
    rows: Rows = [
        ("Studies", f"{len(studies):,}"),
        ("Files", f"{len(slices):,} ({_total(slices['bytes']) / 2**30:,.2f} GiB)"),
        ("Slices", f"{_total(read['n_slices']):,}"),
    ]
    spread = (
        ("Slices a study", "n_slices", "", 0),
        ("Slice distance", "z_spacing_mm", " mm", 2),
        ("Slice thickness", "thickness_mm", " mm", 2),
        ("Pixel spacing", "row_mm", " mm", 3),
        ("Coverage", "coverage_mm", " mm", 0),
    )
    rows += [(name, _spread(read[column], unit, digits)) for name, column, unit, digits in spread]
    sizes = (read["rows"].astype(str) + " × " + read["cols"].astype(str)).value_counts()
    syntax = slices.loc[slices["slice_index"] >= 0, "transfer_syntax"].value_counts()
    rows += [
        ("Sizes in pixels", _counts((str(size), n) for size, n in sizes.items())),
        ("Transfer syntaxes", _counts((UID(str(uid)).name, n) for uid, n in syntax.items())),
        ("Labelled", f"{_total(studies['labelled']):,} of {len(studies):,} studies"),
        ("With masks", f"{_total(studies['has_mask']):,} of {len(studies):,} studies"),
        ("With boxes", f"{_total(studies['n_boxes'] > 0):,} of {len(studies):,} studies"),
        ("Boxes", f"{_total(studies['n_boxes']):,}"),
    ]
    return rows


def _total(values: Any) -> int:  # noqa: ANN401 - pandas' stubs take a column for a table
    """Sum a column of whole numbers, or count what is true; what is missing counts as 0."""
    return int(values.dropna().to_numpy(np.int64).sum())


def _spread(values: pd.Series, unit: str, digits: int) -> str:
    known = values.dropna()
    if known.empty:
        return "unknown"
    if known.nunique() == 1:
        return f"{known.iloc[0]:,.{digits}f}{unit}"
    low, middle, high = (f"{v:,.{digits}f}" for v in (known.min(), known.median(), known.max()))
    return f"{low} to {high}{unit}, median {middle}{unit}"


def _counts(counts: Iterable[tuple[str, Any]]) -> str:
    shown = [f"{name}: {count:,}" for name, count in counts]
    more = _more(len(shown) - _SHOWN_IN_LISTS, "others")
    return "; ".join([*shown[:_SHOWN_IN_LISTS], *filter(None, [more])]) or "none"


def _more(count: int, what: str) -> str:
    return f"and {count:,} more {what}".replace("more others", "others") if count > 0 else ""


def _some(studies: Sequence[str], shown: int) -> str:
    more = [f"and {len(studies) - shown:,} more"] if len(studies) > shown else []
    return ", ".join([*studies[:shown], *more])


def _share(hits: int, total: int) -> str:
    return f"{hits:,} of {total:,} ({hits / total:.1%})"


def _columns(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]) - 1)] if rows else []
    lines = (
        "  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _flag_table(flags: Sequence[FlagCount]) -> str:
    rows: list[str] = []
    for item in flags:
        listed = "".join(f"<li>{escape(study)}</li>" for study in item.studies)
        which = (
            f"<details><summary>Which studies</summary><ul>{listed}</ul></details>"
            if listed
            else ""
        )
        rows.append(
            f"<tr{'' if listed else ' class=none'}><th scope=row>{escape(item.flag.title)}</th>"
            f"<td class=n>{len(item.studies):,}</td>"
            f"<td>{escape(item.flag.meaning)}{which}</td></tr>"
        )
    heading = "<tr><th scope=col>Flag</th><th scope=col>Studies</th><th scope=col>Meaning</th></tr>"
    return f"<table>{heading}{''.join(rows)}</table>"


def _html_table(rows: Sequence[tuple[str, str]]) -> str:
    cells = (
        f"<tr><th scope=row>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in rows
    )
    return f"<table>{''.join(cells)}</table>"


def _prevalence_table(report: QualityReport) -> str:
    rows = (
        f"<tr><th scope=row>{escape(name)}</th><td class=n>{escape(_share(hits, total))}</td>"
        f'<td style="width:50%"><span class=bar style="width:{hits / total:.1%}"></span></td></tr>'
        for name, hits, total in report.prevalence
    )
    return f"<table>{''.join(rows)}</table>"
