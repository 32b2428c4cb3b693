"""A report as PDF, A4."""

from __future__ import annotations

import io
from html import escape
from typing import Any, Final

import numpy as np
from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import (
    Flowable,
    Image,
    KeepTogether,
    PageBreak,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

from core.constants import NOT_FOR_CLINICAL_USE, SYNTHETIC_WARNING
from core.report import wording
from core.report.pictures import Picture
from core.report.study import StudyReport

_INK: Final = colors.HexColor("#10263a")
_MUTED: Final = colors.HexColor("#4a5f70")
_AMBER: Final = colors.HexColor("#d9820f")
_AMBER_SOFT: Final = colors.HexColor("#fdf1df")
_TEAL: Final = colors.HexColor("#0b6f80")
_TEAL_SOFT: Final = colors.HexColor("#eef4f6")
_RED: Final = colors.HexColor("#a52f25")
_LINE: Final = colors.HexColor("#c6d3dc")
_TEXT: Final = ParagraphStyle(
    "text", fontName="Helvetica", fontSize=9.5, leading=13, textColor=_INK
)
_SMALL: Final = ParagraphStyle("small", parent=_TEXT, fontSize=8, leading=10.5, textColor=_MUTED)
_TITLE: Final = ParagraphStyle(
    "title", parent=_TEXT, fontName="Times-Bold", fontSize=20, leading=25
)
_HEAD: Final = ParagraphStyle(
    "head",
    parent=_TEXT,
    fontName="Times-Bold",
    fontSize=13,
    leading=17,
    spaceBefore=9,
    spaceAfter=4,
)
_MUTED_PROBABILITIES: Final = ("TEXTCOLOR", (2, 1), (2, -1), colors.HexColor("#7d8d99"))
_WIDTH: Final = A4[0] - 36 * mm


def render_pdf(report: StudyReport) -> bytes:
    """Write a report as PDF; the line against clinical use stands on every page."""
    file = io.BytesIO()
    document = SimpleDocTemplate(
        file, pagesize=A4, leftMargin=18 * mm, rightMargin=18 * mm, topMargin=16 * mm,
        bottomMargin=18 * mm, title="Cervical spine CT report", author="", invariant=1,
    )  # fmt: skip
    document.build(_story(report), onFirstPage=_footer, onLaterPages=_footer)
    return file.getvalue()


def _story(report: StudyReport) -> list[Flowable]:
    story: list[Flowable] = [
        Paragraph("Cervical spine CT report", _TITLE),
        Paragraph(f"Study {escape(report.study_id)}", _SMALL),
        Paragraph(wording.written(report), _SMALL),
        Spacer(1, 3 * mm),
        _callout(NOT_FOR_CLINICAL_USE, _AMBER, _AMBER_SOFT),
    ]
    if report.synthetic:
        story += [Spacer(1, 2 * mm), _callout(SYNTHETIC_WARNING, _AMBER, _AMBER_SOFT)]
    called = report.verdict.calls.patient
    tone = (_AMBER, _AMBER_SOFT) if called else (_TEAL, _TEAL_SOFT)
    said = f"<b>{escape(_plain(wording.verdict(report)))}</b> {wording.comparison(report)}"
    said += "".join(f"<br/>{escape(_plain(line))}" for line in wording.remarks(report))
    story += [Spacer(1, 2 * mm), _callout(said, *tone)]
    story += [Paragraph("Vertebrae", _HEAD), _vertebrae(report)]
    story += [Paragraph(escape(line), _SMALL) for line in wording.measured(report)]
    story += [Paragraph(escape(wording.HOW_TO_READ), _SMALL)]
    story += [KeepTogether([Paragraph("Along the cervical spine", _HEAD), _profile(report)])]
    story += [PageBreak(), Paragraph("Pictures", _HEAD), _pictures(report.pictures)]
    story += [Paragraph("Series", _HEAD), _facts(report)]
    story += [Paragraph(escape(_plain(note)), _SMALL) for note in report.notes]
    story += [Paragraph("How it was made", _HEAD)]
    lines = [wording.bundle_line(bundle) for bundle in report.bundles]
    lines += [
        wording.point_line(level.capitalize(), point) for level, point in report.points.items()
    ]
    return story + [Paragraph(escape(_plain(line)), _TEXT) for line in lines]


def _plain(text: str) -> str:
    """What the built-in fonts can write: they have no sign for "at least" and no minus."""
    return text.replace("≥", ">=").replace("−", "-")


def _callout(text: str, edge: colors.Color, ground: colors.Color) -> Table:
    style = [("BACKGROUND", (0, 0), (-1, -1), ground), ("LINEBEFORE", (0, 0), (0, -1), 4, edge)]
    return Table([[Paragraph(text, _TEXT)]], colWidths=[_WIDTH], style=TableStyle(style))


def _vertebrae(report: StudyReport) -> Table:
    rows = [wording.vertebra_cells(row, report.points["vertebra"]) for row in report.vertebrae]
    style: list[tuple[Any, ...]] = [
        ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 8.5),
        ("FONT", (0, 1), (-1, -1), "Helvetica", 9),
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, _LINE),
        ("TEXTCOLOR", (0, 0), (-1, -1), _INK),
        *([] if report.verdict.calls.patient is not None else [_MUTED_PROBABILITIES]),
        ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
    ]
    for number, row in enumerate(report.vertebrae, start=1):
        if row.called:
            style.append(("BACKGROUND", (0, number), (-1, number), _AMBER_SOFT))
        if row.differs:
            style.append(("TEXTCOLOR", (-1, number), (-1, number), _RED))
    # The truth has the longest words.
    widths = [_WIDTH * 0.14] * (len(wording.TABLE_HEAD) - 1) + [_WIDTH * 0.3]
    return Table([wording.TABLE_HEAD, *rows], colWidths=widths, style=TableStyle(style))


def _profile(report: StudyReport) -> Drawing:
    """p_i over the slice index: 0 to 1 upwards, head to the left."""
    height, left, below = 70.0, 22.0, 14.0
    drawing = Drawing(_WIDTH, height + below + 6)
    for value in (0.0, 0.5, 1.0):
        y = below + value * height
        drawing.add(Line(left, y, _WIDTH, y, strokeColor=_LINE, strokeWidth=0.5))
        drawing.add(String(0, y - 2, f"{value:g}", fontSize=7, fillColor=_MUTED))
    step = (_WIDTH - left) / max(len(report.slice_probs), 1)
    for i, prob in enumerate(report.slice_probs):
        if not np.isnan(prob):
            bar = Rect(left + i * step, below, step, float(prob) * height)
            bar.fillColor, bar.strokeColor = _AMBER, None
            drawing.add(bar)
    y = below + report.points["slice"].threshold * height
    line = Line(left, y, _WIDTH, y, strokeColor=_TEAL, strokeWidth=1, strokeDashArray=[4, 3])
    drawing.add(line)
    name = wording.slice_threshold(report)
    drawing.add(String(_WIDTH, y + 2, name, fontSize=7, fillColor=_MUTED, textAnchor="end"))
    drawing.add(String(left, 2, "slice 0 (head)", fontSize=7, fillColor=_MUTED))
    last = f"slice {len(report.slice_probs) - 1}"
    drawing.add(String(_WIDTH, 2, last, fontSize=7, fillColor=_MUTED, textAnchor="end"))
    return drawing


def _pictures(pictures: tuple[Picture, ...]) -> Table:
    column = _WIDTH / 2
    cells = [_figure(one, column - 4 * mm) for one in pictures]
    if len(cells) % 2:
        cells.append([])
    rows = [cells[k : k + 2] for k in range(0, len(cells), 2)]
    style = TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)])
    return Table(rows, colWidths=[column, column], style=style)


def _figure(picture: Picture, width: float) -> list[Flowable]:
    across, down = picture.size
    scale = min(width / across, 75 * mm / down)
    image = Image(io.BytesIO(picture.png), width=across * scale, height=down * scale)
    image.hAlign = "LEFT"
    return [image, Paragraph(escape(_plain(picture.caption)), _SMALL)]


def _facts(report: StudyReport) -> Table:
    style = TableStyle(
        [
            ("FONT", (0, 0), (0, -1), "Helvetica-Bold", 9),
            ("FONT", (1, 0), (1, -1), "Helvetica", 9),
            ("LINEBELOW", (0, 0), (-1, -1), 0.5, _LINE),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
        ]
    )
    return Table(list(report.facts), colWidths=[_WIDTH * 0.3, _WIDTH * 0.7], style=style)


def _footer(canvas: Any, document: Any) -> None:  # noqa: ANN401 - reportlab's have no types
    canvas.saveState()
    canvas.setFont("Helvetica", 8)
    canvas.setFillColor(_MUTED)
    canvas.drawString(18 * mm, 10 * mm, NOT_FOR_CLINICAL_USE)
    canvas.drawRightString(A4[0] - 18 * mm, 10 * mm, f"Page {document.page}")
    canvas.restoreState()
