"""How a report says its figures, the same in HTML and in PDF."""

from __future__ import annotations

from core.models.bundles import BundleInfo, EnsembleConfig
from core.models.measured import measured_at
from core.models.names import full_name
from core.models.operating_points import SavedOperatingPoint
from core.report.study import ReportVertebra, StudyReport

TABLE_HEAD = ("Level", "Slices", "Probability", "Threshold", "Call", "Truth")


def verdict(report: StudyReport) -> str:
    """The patient's call in one sentence, or that none is made."""
    found = report.verdict
    if found.calls.patient is None:
        return found.headline
    sign = "≥" if found.calls.patient else "<"
    point = _point(report.points["patient"])
    return f"{found.headline}: probability {found.prob:.3f} {sign} threshold {point}."


def remarks(report: StudyReport) -> tuple[str, ...]:
    """Sentences below the verdict: why no call is made, or how certain the call is."""
    found = report.verdict
    if found.calls.patient is None:
        return (
            found.reason,
            f"The probabilities below, and {found.prob:.3f} for the patient, say nothing about "
            "this scan.",
        )
    scan = f"{found.distribution[0].upper()}{found.distribution[1:]}."
    return (found.uncertainty, scan) if found.uncertainty else (scan,)


def comparison(report: StudyReport) -> str:
    """How the call compares with the truth; "" where that is unknown."""
    called = report.verdict.calls.patient
    if report.patient_truth is None or called is None:
        return ""
    truth = "fractured" if report.patient_truth else "not fractured"
    agrees = report.patient_truth == called
    return f"Truth: {truth}; the call {'agrees' if agrees else 'differs'}."


def vertebra_cells(row: ReportVertebra, point: SavedOperatingPoint) -> tuple[str, ...]:
    """One row of the table, in the order of `TABLE_HEAD`."""
    truth = {True: "fracture", False: "none", None: "unknown"}[row.truth]
    if row.differs:
        truth += " – the call differs"
    if row.slices is None:
        return (row.name, "–", "–", f"{point.threshold:.3f}", "not seen", truth)
    called = {True: "fracture", False: "none", None: "no call"}[row.called]
    first, last = row.slices
    return (row.name, f"{first}–{last}", f"{row.prob:.3f}", f"{point.threshold:.3f}", called, truth)


HOW_TO_READ = (
    "How to read this: a probability is a score of the networks between 0 and 1, no chance of "
    "disease; a call says whether it reaches the threshold. In the pictures, orange boxes are the "
    "localiser's, and lines on the sagittal plane are slices."
)


def measured(report: StudyReport) -> tuple[str, ...]:
    """What the thresholds achieve on other studies, one sentence per level that was measured."""
    bundle = report.bundles[-1]
    patients = measured_at(bundle, "patient", report.points["patient"].threshold)
    vertebrae = measured_at(bundle, "vertebra", report.points["vertebra"].threshold)
    found = ((patients, "patients"), (vertebrae, "vertebrae"))
    return tuple(one.sentence(what) for one, what in found if one is not None)


def written(report: StudyReport) -> str:
    """When the report was made."""
    return f"Report of {report.written:%Y-%m-%d %H:%M} UTC"


def slice_threshold(report: StudyReport) -> str:
    """Name of the line across the profile."""
    return f"slice threshold {report.points['slice'].threshold:.3f}"


def bundle_line(bundle: BundleInfo) -> str:
    """Name, kind and version of a network."""
    config = bundle.config
    made_of = config.built_as
    if isinstance(config, EnsembleConfig):
        made_of = config.ensemble.described
    return (
        f"{full_name(config.name)}: {config.title}, {made_of}, weights "
        f"{config.weights_sha256[:12]}, made {config.created[:10]}"
    )


def point_line(level: str, point: SavedOperatingPoint) -> str:
    """A threshold and where it comes from."""
    return f"{level} threshold {_point(point)}"


def _point(point: SavedOperatingPoint) -> str:
    rule = f"operating point, {point.rule}, {point.origin}" if point.rule else "no operating point"
    return f"{point.threshold:.3f} ({rule})"
