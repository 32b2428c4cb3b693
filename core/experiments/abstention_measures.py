"""How often the default networks abstain on fresh studies, and what their regions cover."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.dicom.series import read_series
from core.experiments.abstention import made_cohort, stored_scores
from core.experiments.cohorts import HELD_OUT, GeneratedCohort
from core.inference.boxes.study_scores import load_predictor
from core.inference.conformal import covered
from core.inference.study_scores import StudyScores, score_study
from core.inference.verdict import judge
from core.models.bundles import EXPERIMENTS_FOLDER, read_json_object
from core.models.pairs import BundlePair, choose_pair
from core.system.atomic_files import write_json
from core.types import Progress, Say

MEASURED_FILE: Final = "abstention.json"


def fresh_cohort(studies: int, seed: int) -> GeneratedCohort:
    """Studies to measure abstention on, each seed in a folder of its own."""
    return GeneratedCohort(f"abstention_{seed}", studies, seed, "to measure abstention on")


def measure_abstention(
    checkpoints: Path,
    work: Path,
    cohort: GeneratedCohort,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Measure the default networks on fresh studies, and write the figures next to the bundles.

    The stored predictions of the held-out cohort are measured as well; they have no distribution
    score. Figures of other cohorts stay in the file while the networks and limits are the same.

    Args:
        checkpoints: Folder of the bundles.
        work: Folder of the cohorts.
        cohort: Studies that neither networks nor limits have seen.
        jobs: Processes for generating the cohort.
        progress: Called with (studies done, total studies).
        say: Called with one line per step.

    Returns:
        Counts of the fresh cohort, as in the file.

    Raises:
        CSpineError: As the parts raise it.
    """
    pair = choose_pair(checkpoints)
    records = made_cohort(cohort, work, jobs=jobs, progress=progress, say=say)
    say(f"Predictions of {len(records)} fresh studies")
    predictor = load_predictor(pair)
    scores: list[StudyScores] = []
    for number, record in enumerate(records):
        scores.append(score_study(predictor.predict(read_series(record.folder))))
        if progress is not None:
            progress(number + 1, len(records))
    fractured = np.array([bool(record.patient_fractured) for record in records])
    found = {"cohort": _named(cohort), **abstention_figures(scores, fractured, pair)}
    file = checkpoints / EXPERIMENTS_FOLDER / MEASURED_FILE
    stored = read_json_object(file) or {}
    about = {
        "networks": [bundle.config.name for bundle in pair.bundles],
        "pair": pair.digest,
        "region": None if pair.fracture.region is None else pair.fracture.region.model_dump(),
    }
    same = all(stored.get(name) == value for name, value in about.items())
    rows = {row["cohort"]: row for row in (stored.get("cohorts", []) if same else [])}
    held_out = HELD_OUT.predictions_file(pair.fracture.folder)
    if held_out.is_file():
        known, truth = stored_scores(pair.fracture, HELD_OUT)
        figures = abstention_figures(known, truth, pair)
        rows[_named(HELD_OUT)] = {"cohort": _named(HELD_OUT), **figures}
    rows[found["cohort"]] = found
    write_json(file, {**about, "cohorts": list(rows.values())})
    return found


def abstention_figures(
    scores: Sequence[StudyScores], fractured: NDArray[np.bool_], pair: BundlePair
) -> dict[str, Any]:
    """How often no call is made and how often it is uncertain, and the region's coverage.

    Args:
        scores: Scores of studies in the networks' distribution.
        fractured: Truth of the patients, bool (n,).
        pair: The networks.
    """
    verdicts = [judge(one, pair) for one in scores]
    probs = np.array([verdict.prob for verdict in verdicts])
    region, n = pair.fracture.region, len(verdicts)
    unknown = all(verdict.score is None for verdict in verdicts)
    certain = [
        verdict.calls.patient is not None and verdict.call != "uncertain" for verdict in verdicts
    ]
    right = [
        verdict.calls.patient is bool(truth)
        for verdict, truth in zip(verdicts, fractured, strict=True)
    ]
    figures: dict[str, Any] = {
        "studies": n,
        "fractured": int(fractured.sum()),
        "out_of_distribution": None if unknown else sum((v.score or 0) > 1 for v in verdicts),
        "implausible_levels": sum(bool(v.problems) for v in verdicts),
        "uncertain": sum(v.call == "uncertain" for v in verdicts),
        "certain": sum(certain),
        "certain_and_right": sum(c and r for c, r in zip(certain, right, strict=True)),
    }
    if region is not None:
        figures["stated_coverage"] = region.coverage
        figures["covered"] = round(covered(region, probs, fractured) * n)
        for name, of in (("fractured", fractured), ("not_fractured", ~fractured)):
            if of.any():
                inside = covered(region, probs[of], fractured[of])
                figures[f"covered_{name}"] = round(inside * int(of.sum()))
    return figures


def _named(cohort: GeneratedCohort) -> str:
    return f"{cohort.studies} studies of seed {cohort.seed}"
