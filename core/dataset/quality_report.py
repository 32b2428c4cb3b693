"""The quality report of an index: a table for the terminal and a self-contained HTML page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from pydicom.uid import UID

from core.constants import SYNTHETIC_WARNING
from core.dataset.csv_table import TableProblem
from core.dataset.index import DataIndex
from core.dataset.quality import FLAGS, Flag
from core.dataset.tables import LABEL_COLUMNS
from core.system.atomic_files import write_text
from core.system.html import render_page

Rows = list[tuple[str, str]]

_SHOWN_IN_TEXT: Final = 3
_SHOWN_IN_LISTS: Final = 5
_SHOWN_IN_HTML: Final = 1_000
_TEMPLATE: Final = Path(__file__).with_name("quality_report.html")


@dataclass(frozen=True, slots=True)
class FlagCount:
    """A flag and the studies that have it, sorted."""

    flag: Flag
    studies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Contents of the report.

    Attributes:
        facts: (name, value) about the data set.
        prevalence: (patient_overall or vertebra, positive, labelled).
        flags: In the order of `FLAGS`, including those that no study has.
        errors: (study, why it cannot be read).
        problems: Sentences on wrong rows of the tables and on masks.
        clean: Studies without any flag.
        synthetic: Whether the data were generated.
    """

    facts: tuple[tuple[str, str], ...]
    prevalence: tuple[tuple[str, int, int], ...]
    flags: tuple[FlagCount, ...]
    errors: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    clean: int
    synthetic: bool


def summarise(index: DataIndex, problems: Sequence[TableProblem] = ()) -> QualityReport:
    """Count what the report shows.

    Args:
        index: The index.
        problems: Problems of the tables, as `core.dataset.slice_table.check_boxes` lists them.
    """
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
        problems=tuple(problem.sentence(problem.file.name) for problem in problems),
        clean=int((~flagged.any(axis=1)).sum()),
        synthetic=index.synthetic,
    )


def render_text(index: DataIndex, problems: Sequence[TableProblem] = ()) -> str:
    """Return the report as plain text for a terminal, without a newline at the end."""
    report = summarise(index, problems)
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
        _listed("Wrong rows in the tables", report.problems, _SHOWN_IN_LISTS),
    ]
    return "\n\n".join(block for block in blocks if block)


def write_html(index: DataIndex, path: Path, problems: Sequence[TableProblem] = ()) -> None:
    """Write the report as one HTML file that loads nothing from elsewhere.

    Raises:
        StorageError: The file cannot be written.
    """
    write_text(path, render_html(index, problems))


def render_html(index: DataIndex, problems: Sequence[TableProblem] = ()) -> str:
    """Return the page of `write_html`; every text in it is escaped."""
    report = summarise(index, problems)
    return render_page(
        _TEMPLATE,
        report=report,
        problems=report.problems[:_SHOWN_IN_HTML],
        more_problems=_more(len(report.problems) - _SHOWN_IN_HTML, "wrong rows"),
        studies=len(index.studies),
        synthetic_warning=SYNTHETIC_WARNING,
        prevalence=[
            (name, _share(hits, total), f"{hits / total:.1%}")
            for name, hits, total in report.prevalence
        ],
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
        ("Slices per study", "n_slices", "", 0),
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


def _listed(title: str, sentences: Sequence[str], shown: int) -> str:
    if not sentences:
        return ""
    more = _more(len(sentences) - shown, "wrong rows")
    return "\n".join([f"{title} ({len(sentences):,}):", *sentences[:shown], *filter(None, [more])])


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
