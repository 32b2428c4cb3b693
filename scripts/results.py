"""Write the figures of the shipped bundles into README.md and docs/results.md.

`python -m scripts.results` reads `checkpoints/*/metrics.json`, which `make demo-models` writes, and
replaces what stands between the markers. With `--check` it only tells whether they are up to date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from core.atomic import write_text
from core.config import PROJECT_ROOT
from core.constants import VERTEBRAE
from core.models.bundles import COHORTS_FOLDER, BundleInfo, list_bundles

BEGIN = "<!-- figures: begin (python -m scripts.results) -->"
END = "<!-- figures: end -->"
README = PROJECT_ROOT / "README.md"
RESULTS = PROJECT_ROOT / "docs" / "results.md"


def figure(level: Mapping[str, Any] | None, name: str = "auc") -> str:
    """A figure with its 95 % interval, or a dash."""
    if not level or level.get(name) is None:
        return "–"
    interval = level["intervals"].get(name)
    tail = f" ({interval[0]:.3f}–{interval[1]:.3f})" if interval else ""
    return f"{level[name]:.3f}{tail}"


def scored_bundles() -> list[BundleInfo]:
    """The shipped vertebra and fracture networks that have figures."""
    found = list_bundles(PROJECT_ROOT / "checkpoints")
    return [
        bundle for bundle in found
        if bundle.metrics is not None and bundle.config.task in ("vertebra", "fracture")
    ]  # fmt: skip


def readme_table(bundles: list[BundleInfo]) -> str:
    """One row a bundle: its headline figure, and the patient level with its partner."""
    rows = [
        "| bundle | held-out figure | AUC, 95 % interval over patients | patient-level AUC |",
        "|---|---|---|---|",
    ]
    for bundle in bundles:
        metrics = bundle.metrics or {}
        head = metrics["headline"]
        rows.append(
            f"| {bundle.config.name} | {head['name']} | "
            f"{head['value']:.3f} ({head['low']:.3f}–{head['high']:.3f}) | "
            f"{figure(metrics['held_out']['patient'])} |"
        )
    return "\n".join(rows)


def results_tables(bundles: list[BundleInfo]) -> str:
    """All levels of both cohorts."""
    parts: list[str] = []
    for key, title in (
        ("held_out", "Held-out cohort: measured once, nothing chosen on it"),
        ("out_of_fold", "Out-of-fold predictions: contexts and thresholds were chosen on these"),
    ):
        patients = {(b.metrics or {})[key]["n"]["patients"] for b in bundles}
        studies = ", ".join(str(number) for number in sorted(patients))
        rows = [
            f"### {title} ({studies} studies)", "",
            "| bundle | with | presence AUC | slice AUC | vertebra AUC | patient AUC | recall"
            " (patient) | precision (patient) | weighted log loss |",
            "|---|---|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        for bundle in bundles:
            metrics = bundle.metrics or {}
            found = metrics[key]
            presence = found["presence"]["pooled"] if found["presence"] else None
            levels = [figure(found[level]) for level in ("slice", "vertebra", "patient")]
            patient = [figure(found["patient"], name) for name in ("recall", "precision")]
            loss = found["competition"]["weighted_log_loss"]
            cells = [bundle.config.name, metrics["partner"], figure(presence), *levels, *patient]
            rows.append(f"| {' | '.join(cells)} | {loss:.3f} |")
        parts.append("\n".join(rows))
    return "\n\n".join([*parts, line_share()])


def line_share() -> str:
    """How many of the slices that count as positive carry a line, in words."""
    cohorts = PROJECT_ROOT / "checkpoints" / COHORTS_FOLDER
    studies = pd.read_parquet(cohorts / "held_out.parquet").set_index("study_id")
    slices = pd.read_parquet(cohorts / "held_out_slices.parquet")
    fractured = studies.loc[slices["study_id"], [f"y_{name}" for name in VERTEBRAE]].to_numpy(bool)
    present = slices[[f"present_{name}" for name in VERTEBRAE]].to_numpy(bool)
    positive = (fractured & present).any(axis=1)
    boxed = slices["boxed"].to_numpy(bool)[positive]
    return (
        f"Of the {positive.sum():,} held-out slices on which a fractured vertebra is in view, "
        f"{boxed.mean():.0%} carry a box, hence a line."
    )


def with_figures(text: str, figures: str) -> str:
    """The text with `figures` between its markers.

    Raises:
        ValueError: The markers are missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("The text has no markers for figures.")
    return f"{before}{BEGIN}\n{figures}\n{END}{after}"


def documents() -> dict[Path, str]:
    """What the two files should hold."""
    bundles = scored_bundles()
    return {
        README: with_figures(README.read_text(), readme_table(bundles)),
        RESULTS: with_figures(RESULTS.read_text(), results_tables(bundles)),
    }


def main() -> int:
    """Write the figures, or check them; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    stale = [path for path, text in documents().items() if path.read_text() != text]
    if arguments.check:
        for path in stale:
            print(f"{path} does not hold the bundles' figures; run python -m scripts.results.")
        return 1 if stale else 0
    for path in stale:
        write_text(path, documents()[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
