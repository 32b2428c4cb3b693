"""What a report says about one study, before anybody draws it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from core.constants import VERTEBRAE
from core.inference.boxes.tracks import FusionSettings, detect
from core.inference.study_scores import StudyScores, score_study
from core.inference.verdict import StudyVerdict, judge
from core.models.bundles import BundleInfo
from core.models.operating_points import SavedOperatingPoint, operating_point
from core.models.pairs import BundlePair
from core.report.pictures import (
    Picture,
    box_picture,
    heat_picture,
    sagittal_picture,
    slice_picture,
)
from core.types import CTVolume, RawDetections, SlicePredictions


@dataclass(frozen=True, slots=True)
class ReportVertebra:
    """One row of the table C1..C7.

    Attributes:
        name: C1..C7.
        prob: p_j.
        called: Whether p_j reaches the threshold; None for a vertebra that was not seen, and where
            no call is made on the study.
        slices: First and last slice that show it; None where it was not seen.
        peak: Slice with the highest f_ij v_ij.
        truth: y_j; None where unknown.
        compared: Whether calls are made on the study.
    """

    name: str
    prob: float
    called: bool | None
    slices: tuple[int, int] | None
    peak: int
    truth: bool | None
    compared: bool = True

    @property
    def differs(self) -> bool:
        """Whether the call is wrong; a vertebra that was not seen is not called."""
        return self.compared and self.truth is not None and bool(self.called) != self.truth


@dataclass(frozen=True, slots=True, eq=False)
class StudyReport:
    """A report's content.

    Attributes:
        study_id: StudyInstanceUID.
        written: When the report was made, UTC.
        synthetic: Whether the study is known to be generated.
        facts: Name and value of the series' properties.
        bundles: The networks.
        verdict: The verdict, with p and its threshold.
        patient_truth: Truth of the patient; None where unknown.
        points: Operating points for patient, vertebrae and slices.
        vertebrae: C1..C7.
        slice_probs: float64 (n_slices,), p_i; NaN where no vertebra was seen.
        pictures: With captions.
        notes: Choices made while reading the series.
    """

    study_id: str
    written: datetime
    synthetic: bool
    facts: tuple[tuple[str, str], ...]
    bundles: tuple[BundleInfo, ...]
    verdict: StudyVerdict
    patient_truth: bool | None
    points: dict[str, SavedOperatingPoint]
    vertebrae: tuple[ReportVertebra, ...]
    slice_probs: NDArray[np.float64]
    pictures: tuple[Picture, ...]
    notes: tuple[str, ...]


def build_report(
    volume: CTVolume,
    predictions: SlicePredictions,
    pair: BundlePair,
    *,
    raw: RawDetections | None = None,
    truth: Sequence[bool] | None = None,
    synthetic: bool = False,
    explain: bool = True,
) -> StudyReport:
    """Gather what a report says.

    Args:
        volume: The study.
        predictions: Of `pair` on `volume`.
        pair: The networks; their operating points decide the calls.
        raw: The localiser's boxes, where the pair judges by boxes.
        truth: y_j for C1..C7, None where unlabelled.
        synthetic: Whether the study is known to be generated.
        explain: Whether heat maps are made, which runs the fracture network again.

    Raises:
        PredictionsError: The arrays are unusable.
        BundleError: A network cannot be explained.
    """
    reading = score_study(predictions)
    points = {
        "patient": operating_point(pair.fracture, "patient"),
        "vertebra": operating_point(pair.fracture, "vertebra"),
        "slice": operating_point(pair.fracture, "slice"),
    }
    verdict = judge(reading, pair)
    rows = tuple(
        ReportVertebra(
            name=name,
            prob=float(reading.patient.vertebra_probs[j]),
            called=verdict.calls.vertebrae[j],
            slices=reading.ranges[j],
            peak=reading.peaks[j],
            truth=None if truth is None else bool(truth[j]),
            compared=verdict.calls.patient is not None,
        )
        for j, name in enumerate(VERTEBRAE)
    )
    return StudyReport(
        study_id=volume.study_uid,
        written=datetime.now(UTC),
        synthetic=synthetic,
        facts=_facts(volume),
        bundles=_once(pair),
        verdict=verdict,
        patient_truth=None if truth is None else any(truth),
        points=points,
        vertebrae=rows,
        slice_probs=np.where(reading.patient.slice_seen, reading.patient.slice_probs, np.nan),
        pictures=_pictures(volume, reading, rows, pair, raw, explain=explain),
        notes=volume.notes,
    )


def _once(pair: BundlePair) -> tuple[BundleInfo, ...]:
    """The networks of a pair; a Type 3 bundle stands in both places but is one."""
    same = pair.vertebra.config == pair.fracture.config
    return (*pair.bundles[:-2], pair.fracture) if same else pair.bundles


def _facts(volume: CTVolume) -> tuple[tuple[str, str], ...]:
    n_slices, rows, columns = volume.hu.shape
    z_mm, row_mm, column_mm = volume.spacing_mm
    return (
        ("Slices", str(n_slices)),
        ("Matrix", f"{rows} × {columns} pixels"),
        ("Pixel spacing", f"{row_mm:.2f} × {column_mm:.2f} mm"),
        ("Slice distance", f"{z_mm:.2f} mm"),
        ("Extent along z", f"{volume.z_mm[0] - volume.z_mm[-1]:.0f} mm"),
    )


def _pictures(
    volume: CTVolume,
    reading: StudyScores,
    rows: Sequence[ReportVertebra],
    pair: BundlePair,
    raw: RawDetections | None,
    *,
    explain: bool,
) -> tuple[Picture, ...]:
    shown = [row for row in rows if row.called]
    peak = reading.peak_slice
    pictures = [
        sagittal_picture(
            volume,
            sorted({row.peak for row in shown} or {peak}),
            {row.name: row.slices for row in rows if row.slices is not None},
        ),
        slice_picture(volume, peak, f"Slice {peak}, the most suspicious of the study"),
    ]
    if raw is not None:
        return (*pictures, *_box_pictures(volume, _by_slice(shown), pair, raw))
    if not explain or not pair.fracture.config.explains_slices:
        plain = (
            slice_picture(volume, index, f"{names}, slice {index}: its most suspicious slice")
            for names, index in _by_slice(shown)
        )
        return (*pictures, *plain)
    # Here because it imports torch, which a report without heat maps does not need.
    from core.inference.explain import explain_slice

    # A Type 1 network has one score a slice, so vertebrae that peak together share a picture.
    single = pair.fracture.config.type == 1
    for names, index in _by_slice(shown) if single else [(row.name, row.peak) for row in shown]:
        found = explain_slice(
            volume,
            pair.fracture,
            index,
            VERTEBRAE.index(names.partition(" ")[0]),
            presence=reading.predictions.vertebra_probs[index],
        )
        how = "saw a line" if pair.fracture.config.gives_maps else "looked (Grad-CAM)"
        caption = f"{names}, slice {index}: where the fracture network {how}"
        pictures.append(heat_picture(volume, index, found.heat, caption))
    return tuple(pictures)


def _box_pictures(
    volume: CTVolume, shown: Sequence[tuple[str, int]], pair: BundlePair, raw: RawDetections
) -> Iterator[Picture]:
    """The slices where the vertebrae look worst, with the boxes that the calls rest on."""
    threshold = operating_point(pair.fracture, "box").threshold
    found = detect(raw, FusionSettings())
    for names, index in shown:
        here = found.slice_index == index
        sure = here & (found.scores >= threshold)
        said = "boxes from" if sure.any() else "no box reaches"
        best = found.scores[here].max(initial=0.0)
        yield box_picture(
            volume, index, found.xyxy[sure],
            f"{names}, slice {index}: {said} the score of {threshold:.3f} (best {best:.3f})",
        )  # fmt: skip


def _by_slice(rows: Sequence[ReportVertebra]) -> list[tuple[str, int]]:
    """Names and most suspicious slice of vertebrae, from C1 down; those of one slice together."""
    names: dict[int, list[str]] = {}
    for row in rows:
        names.setdefault(row.peak, []).append(row.name)
    return [(" and ".join(found), index) for index, found in names.items()]
