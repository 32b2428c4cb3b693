"""A report as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Final

import numpy as np

from core.constants import NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING
from core.report import wording
from core.report.study import StudyReport

_STYLE: Final = Path(__file__).with_name("report.css").read_text(encoding="utf-8")


def render_html(report: StudyReport) -> str:
    """Write a report as HTML; pictures are inside, nothing is fetched."""
    warning = f'<p class="warning">{escape(NOT_FOR_CLINICAL_USE)}</p>'
    if report.synthetic:
        warning += f'<p class="warning">{escape(SYNTHETIC_WARNING)}</p>'
    hot = " hot" if report.patient_called else ""
    truth = wording.comparison(report)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Cervical spine CT report</title><style>{_STYLE}</style></head><body>"
        "<header><h1>Cervical spine CT report</h1>"
        f'<p class="uid">Study {escape(report.study_id)}</p></header>{warning}'
        f'<p class="verdict{hot}">{escape(wording.verdict(report))} {escape(truth)}</p>'
        f"<h2>Vertebrae</h2>{_vertebrae(report)}"
        f"<h2>Along the neck</h2>{_profile(report)}"
        f'<h2>Pictures</h2><div class="pictures">{_pictures(report)}</div>'
        f"<h2>Series</h2>{_table([(a, b) for a, b in report.facts])}{_list(report.notes)}"
        f"<h2>How it was made</h2>{_list(_origin(report))}"
        f"<footer><small>{escape(NOT_FOR_CLINICAL_USE)}</small></footer></body></html>\n"
    )


def _origin(report: StudyReport) -> list[str]:
    lines = [wording.bundle_line(bundle) for bundle in report.bundles]
    lines += [
        wording.point_line(level.capitalize(), point) for level, point in report.points.items()
    ]
    return lines


def _vertebrae(report: StudyReport) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in wording.TABLE_HEAD)
    rows = ""
    for row in report.vertebrae:
        cells = wording.vertebra_cells(row, report.points["vertebra"])
        hot = ' class="hot"' if row.called else ""
        rows += f"<tr{hot}>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _profile(report: StudyReport) -> str:
    """p_i over the slice index as SVG: 0 to 1 upwards, head to the left."""
    width, height, left, bottom = 760, 150, 34, 22
    n_slices = len(report.slice_probs)
    step = (width - left) / max(n_slices, 1)
    bars = "".join(
        f'<rect x="{left + i * step:.2f}" y="{height - p * height:.2f}" '
        f'width="{max(step, 0.5):.2f}" height="{p * height:.2f}"/>'
        for i, p in enumerate(report.slice_probs)
        if not np.isnan(p)
    )
    marks = "".join(
        f'<text x="{left - 6}" y="{height - v * height + (10 if v else 0)}" text-anchor="end">{v:g}'
        f'</text><path d="M{left} {height - v * height} H{width}" stroke="#c6d3dc"/>'
        for v in (0, 0.5, 1)
    )
    return (
        f'<svg viewBox="0 0 {width} {height + bottom}" role="img" '
        'aria-label="Fracture probability of each slice" xmlns="http://www.w3.org/2000/svg">'
        f'{marks}<g fill="#d9820f">{bars}</g>'
        f'<text x="{left}" y="{height + 16}">slice 0 (head)</text>'
        f'<text x="{width}" y="{height + 16}" text-anchor="end">slice {n_slices - 1}</text></svg>'
        "<small>Fracture probability of each slice, from the head downwards.</small>"
    )


def _pictures(report: StudyReport) -> str:
    return "".join(
        f'<figure><img alt="{escape(one.caption)}" '
        f'src="data:image/png;base64,{base64.b64encode(one.png).decode()}">'
        f"<figcaption>{escape(one.caption)}</figcaption></figure>"
        for one in report.pictures
    )


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in rows
    )
    return f"<table><tbody>{cells}</tbody></table>"


def _list(lines: list[str] | tuple[str, ...]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>" if lines else ""
