"""Every file that a study's scene can be taken along as."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from core.cache.keys import fingerprint_folder
from core.dataset.rsna import record_of
from core.dicom.series import read_series
from core.errors import SceneError
from core.inference.outputs import SLICES_FILE, read_slices
from core.inference.study_scores import StudyScores, score_study
from core.inference.verdict import NO_CALL, gives_a_call
from core.models.bundles import BundleInfo
from core.prepared.series_digests import oriented_digest
from core.system import atomic_files
from core.system.csv_text import table_csv
from core.visualization.colors import BONE_COLOR, SUSPICION
from core.visualization.film import turntable_frames, write_film
from core.visualization.html_page import scene_page
from core.visualization.labels import LabelSource
from core.visualization.mesh_files import glb_bytes, stl_bytes
from core.visualization.plotter import SceneLook
from core.visualization.scene import (
    SceneInfo,
    scene_info,
    scene_levels,
    true_boxes,
)
from core.visualization.scene_sources import scene_sources
from core.visualization.scene_surfaces import PackedParts, SceneParts, load_parts

_CUT_FROM: Final[dict[LabelSource, str]] = {
    "mask": "its mask",
    "segmenter": "labels that a network predicted",
    "presence": "bone cut by presence along z",
}


def export_scene(
    folder: Path,
    out: Path,
    *,
    cache: Path,
    predictions: Path | None = None,
    film: str | None = None,
    threshold: float = 0.5,
    segmenter: BundleInfo | None = None,
) -> list[str]:
    """Write GLB, STL, HTML, a table of figures and, if asked for, a film.

    Args:
        folder: The study's DICOM files; in a data root its mask and boxes are used.
        out: Where the files go.
        cache: Where surfaces are kept.
        predictions: Folder with `slices.parquet`; needed where the study has no mask and there is
            no segmenter.
        film: "gif", "mp4" or None.
        threshold: From which a vertebra counts as fractured.
        segmenter: Network that segments a study without a mask.

    Returns:
        One sentence a file.

    Raises:
        DicomSeriesError: The folder holds no readable series.
        SceneError: Nothing says where the vertebrae are, or a film cannot be drawn.
    """
    if film not in (None, "gif", "mp4"):
        raise SceneError(f"{film!r} is no kind of film; choose gif or mp4.")
    volume = read_series(folder)
    record, synthetic = record_of(folder)
    names = {volume.study_uid} if record is None else {volume.study_uid, record.study_id}
    names |= set(() if record is None else record.names)
    scores = None if predictions is None else _scores_of(predictions, names)
    judged = scores is None or gives_a_call(scores)
    fingerprint = oriented_digest(fingerprint_folder(folder), volume.axes)
    sources = scene_sources(volume, fingerprint, record, scores, segmenter)
    if sources is None:
        raise SceneError(
            f"{folder.name} has no vertebra mask, so the networks must say where the vertebrae "
            "are; run `python -m core predict` and give its folder by --predictions."
        )
    packed = load_parts(cache, sources.key(cache)) or sources.build(cache)
    parts = packed.unpack()
    info = scene_info(
        volume, parts, scene_levels(scores, judged=judged), true_boxes=true_boxes(record, volume),
        threshold=threshold, synthetic=synthetic,
    )  # fmt: skip
    written = _write_surfaces(out, packed, parts, info)
    atomic_files.write_bytes(out / "spine_3d.html", scene_page(packed, info, volume))
    written.append(f"{out / 'spine_3d.html'}: the scene, opens in any browser")
    if film is not None:
        path = out / f"turntable.{film}"
        write_film(path, list(turntable_frames(parts, film_look(info))))
        written.append(f"{path}: once around the neck")
    if not judged:
        written.append(f"{NO_CALL} The vertebrae have no probabilities.")
    return written


def film_look(info: SceneInfo) -> SceneLook:
    """Look of a film: names, fracture lines and boxes over the vertebrae."""
    return SceneLook(
        shown_colors(info), names=True, true_boxes=info.true_boxes,
        predicted_boxes=info.predicted_boxes,
    )  # fmt: skip


def shown_colors(info: SceneInfo) -> dict[str, str]:
    """Colours for a film: called vertebrae amber, judged ones bone, else each level's own."""
    judged = any(level.prob is not None for level in info.levels)
    return {
        level.name: (
            level.color if not judged
            else SUSPICION if level.prob is not None and level.prob >= info.threshold
            else BONE_COLOR
        )
        for level in info.levels
    }  # fmt: skip


def scene_glb(parts: SceneParts, info: SceneInfo) -> bytes:
    """GLB with the colours of the levels."""
    colors = dict.fromkeys(parts.vertebrae, BONE_COLOR)
    colors |= {level.name: level.color for level in info.levels}
    return glb_bytes(parts.surfaces, colors, translucent=("other bone",))


def figures_csv(parts: SceneParts, info: SceneInfo) -> str:
    """Volume, voxels' volume, area and probability of each vertebra as CSV."""
    probs = {level.name: level.prob for level in info.levels}
    rows: list[list[str]] = []
    for name, surface in parts.vertebrae.items():
        prob = probs.get(name)
        figures = (surface.volume_mm3, surface.voxel_mm3, surface.area_mm2)
        said = "" if prob is None else f"{prob:.4f}"
        rows.append([name, *(f"{value:.1f}" for value in figures), said])
    heading = ["vertebra", "volume_mm3", "voxel_volume_mm3", "area_mm2", "probability"]
    return table_csv(heading, rows)


def _write_surfaces(
    out: Path, packed: PackedParts, parts: SceneParts, info: SceneInfo
) -> list[str]:
    atomic_files.write_bytes(out / "spine_3d.glb", scene_glb(parts, info))
    for surface in parts.vertebrae.values():
        atomic_files.write_bytes(out / "stl" / f"{surface.name}.stl", stl_bytes(surface))
    atomic_files.write_text(out / "figures.csv", figures_csv(parts, info))
    cut = _CUT_FROM[packed.source]
    return [
        f"{out / 'spine_3d.glb'}: {len(parts.surfaces)} surfaces, vertebrae from {cut}",
        f"{out / 'stl'}: {len(parts.vertebrae)} vertebrae, LPS mm",
        f"{out / 'figures.csv'}: volume and area of each vertebra",
    ]


def _scores_of(predictions: Path, names: set[str]) -> StudyScores:
    for said in read_slices(predictions / SLICES_FILE):
        if said.study_id in names:
            return score_study(said)
    raise SceneError(f"{predictions} holds no prediction of this study; predict it first.")
