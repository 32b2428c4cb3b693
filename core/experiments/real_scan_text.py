"""Results on real scans as text: for the terminal, for documents and for model cards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from core.constants import VERTEBRAE
from core.experiments.presence_auc import EDGE
from core.experiments.real_check import RealCheck
from core.models.bundles import (
    EXPERIMENTS_FOLDER,
    MODEL_CARD_FILE,
    BundleInfo,
    list_bundles,
    read_json_object,
)
from core.system.atomic_files import write_json, write_text

CHECKS_FILE: Final = "real_scans.json"
SECTION: Final = "## Real scans"


def check_text(check: RealCheck) -> str:
    """One scan's result as lines for a terminal."""
    lines = [f"{check.scan}: {check.n_slices} slices, {_boxes(check.to_json())}"]
    for one in check.networks:
        verdict = one.verdict
        lines.append(
            f"  {one.name} with {one.vertebra}: {verdict.call}, probability {verdict.prob:.4f}, "
            f"threshold {verdict.threshold:.3f}; {verdict.distribution}"
        )
        if verdict.reason:
            lines.append(f"    {verdict.reason}")
    lines += [
        f"  presence by {one.vertebra}: AUC {_areas(one.presence_auc)}"
        for one in _by_vertebra(check)
        if one.presence_auc
    ]
    if check.segmenter is not None:
        lines += [f"  {line}" for line in _segmenter_lines(check.segmenter.to_json())]
    return "\n".join([*lines, *(f"  note: {note}" for note in check.notes)])


def keep_checks(checks: Sequence[RealCheck], checkpoints: Path) -> None:
    """Write the results to `experiments/real_scans.json` and to the cards of the bundles.

    A measurement of the same networks is replaced; one of other networks stays before it.

    Args:
        checks: Results on all scans of a measurement.
        checkpoints: Folder of the bundles.

    Raises:
        BundleError: The file is damaged.
        StorageError: A file cannot be written.
    """
    bundles = list_bundles(checkpoints)
    weights = {bundle.config.name: bundle.config.weights_sha256[:12] for bundle in bundles}
    latest: dict[str, Any] = {
        "networks": hashlib.sha256(json.dumps(weights, sort_keys=True).encode()).hexdigest()[:12],
        "weights": weights,
        "newest": max((bundle.config.created[:10] for bundle in bundles), default=""),
        "scans": [check.to_json() for check in checks],
    }
    kept = [one for one in stored_checks(checkpoints) if one["networks"] != latest["networks"]]
    file = checkpoints / EXPERIMENTS_FOLDER / CHECKS_FILE
    write_json(file, {"measurements": [*kept, latest]})
    for bundle in bundles:
        card = bundle.folder / MODEL_CARD_FILE
        if card.is_file():
            write_text(card, with_section(card.read_text(), bundle, latest["scans"]))


def stored_checks(checkpoints: Path) -> list[dict[str, Any]]:
    """Stored measurements, oldest first.

    Raises:
        BundleError: The file is damaged.
    """
    content = read_json_object(checkpoints / EXPERIMENTS_FOLDER / CHECKS_FILE) or {}
    return list(content.get("measurements", []))


def with_section(card: str, bundle: BundleInfo, scans: Sequence[Mapping[str, Any]]) -> str:
    """A model card whose last section gives the network's results on real scans."""
    text = card.partition(f"\n{SECTION}\n")[0].rstrip()
    rows = [row for scan in scans for row in _card_rows(bundle, scan)]
    if not rows:
        return text + "\n"
    return "\n".join(
        [
            text,
            "",
            SECTION,
            "",
            f"Measured by `python -m core real-check` on real anatomy without a known fracture, "
            f"n = {len(scans)}. It shows where the network fails; it gives no sensitivity and no "
            "specificity.",
            "",
            *rows,
            "",
        ]
    )


def scan_table(measurements: Sequence[Mapping[str, Any]], *, pairs: int | None = None) -> str:
    """All measurements as a table, one row per scan and pair of networks.

    Args:
        measurements: Stored measurements.
        pairs: Number of pairs to list, the default one first; None for all.
    """
    rows = [
        "| networks of | scan | fracture network | with | call | patient probability | "
        "distribution score (limit 1) | presence AUC, pooled | boxes over the threshold |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for measured in measurements:
        for scan in measured["scans"]:
            for one in scan["networks"][:pairs]:
                score = one["distribution_score"]
                area = one["presence_auc"].get("pooled")
                cells = [
                    measured["newest"],
                    scan["scan"],
                    one["name"],
                    one["vertebra"],
                    one["call"],
                    f"{one['patient']:.4f}",
                    "–" if score is None else f"{score:.2f}",
                    "–" if area is None else f"{area:.3f}",
                    "–" if scan["boxes"] is None else str(scan["boxes"]),
                ]
                rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def level_table(measurements: Sequence[Mapping[str, Any]]) -> str:
    """Presence AUC by level of the scans with known levels, one row per vertebra network."""
    rows = [
        f"| networks of | scan | vertebra network | {' | '.join(VERTEBRAE)} | pooled |",
        f"|---|---|---|{'---|' * (len(VERTEBRAE) + 1)}",
    ]
    for measured in measurements:
        for scan in measured["scans"]:
            found = {one["vertebra"]: one["presence_auc"] for one in scan["networks"]}
            for name, areas in found.items():
                if areas:
                    cells = [measured["newest"], scan["scan"], name]
                    cells += [
                        f"{areas[level]:.3f}" if level in areas else "–"
                        for level in (*VERTEBRAE, "pooled")
                    ]
                    rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def segmenter_table(measurements: Sequence[Mapping[str, Any]]) -> str:
    """Levels of the segmenter at the middles of marked levels, one row per scan; "" without one."""
    rows = [
        "| networks of | scan | levels labelled | right at the middle of | "
        "presence AUC of its labels, pooled |",
        "|---|---|---|---|---|",
    ]
    for measured in measurements:
        for scan in measured["scans"]:
            one = scan.get("segmenter")
            if one is None:
                continue
            levels, area = one["levels"], one["presence_auc"].get("pooled")
            right = sum(name == level for name, level in levels.items())
            cells = [
                measured["newest"],
                scan["scan"],
                ", ".join(one["found"]) or "none",
                f"{right} of {len(levels)}" if levels else "–",
                "–" if area is None else f"{area:.3f}",
            ]
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) if len(rows) > 2 else ""


def _card_rows(bundle: BundleInfo, scan: Mapping[str, Any]) -> list[str]:
    name = bundle.config.name
    rows: list[str] = []
    shown: set[str] = set()
    for one in scan["networks"]:
        # A localiser is in a pair for each further vertebra network as well.
        if name in (one["name"], one["vertebra"]) and one["name"] not in shown:
            shown.add(one["name"])
            score = one["distribution_score"]
            distance = "" if score is None else f", distribution score {score:.2f} (limit 1)"
            rows.append(
                f"- {scan['scan']}, {one['name']} with {one['vertebra']}: {one['call']}; patient "
                f"probability {one['patient']:.4f}, "
                f"threshold {one['threshold']:.3f}{distance}."
            )
    areas = next((one["presence_auc"] for one in scan["networks"] if one["vertebra"] == name), {})
    if areas and not bundle.config.gives_labels:  # A segmenter's are in its own lines.
        rows.append(
            f"- {scan['scan']}: presence AUC {_areas(areas)}; slices within {EDGE} of a level's "
            "end left out."
        )
    if bundle.config.gives_boxes:
        rows.append(f"- {scan['scan']}: {_boxes(scan)}.")
    segmenter = scan.get("segmenter")  # Measurements of before there was one have none.
    if segmenter is not None and segmenter["name"] == name:
        rows += [f"- {scan['scan']}: {line}." for line in _segmenter_lines(segmenter)]
    return rows


def _segmenter_lines(segmenter: Mapping[str, Any]) -> list[str]:
    """What a segmenter found in a scan, and how that agrees with the marked levels."""
    lines = [f"{segmenter['name']} labels {', '.join(segmenter['found']) or 'no vertebra'}"]
    levels = segmenter["levels"]
    if levels:
        right = sum(name == level for name, level in levels.items())
        pairs = ", ".join(f"{name} as {level}" for name, level in levels.items())
        lines.append(
            f"at the middle of {right} of {len(levels)} marked levels the right one ({pairs})"
        )
    if segmenter["presence_auc"]:
        lines.append(f"presence from its labels: AUC {_areas(segmenter['presence_auc'])}")
    return lines


def _areas(areas: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in areas.items())


def _boxes(scan: Mapping[str, Any]) -> str:
    if scan["boxes"] is None:
        return "no localiser"
    return f"{scan['boxes']} boxes at or above the score of {scan['box_threshold']:.4f}"


def _by_vertebra(check: RealCheck) -> list[Any]:
    """One network check per vertebra network."""
    return list({one.vertebra: one for one in reversed(check.networks)}.values())
