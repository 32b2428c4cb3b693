"""The commands that segment vertebrae, and that train a segmenter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from core.cli.common import Bundles, Device, Jobs, app, progress_bar
from core.config import Settings


@app.command()
def segment(
    study: Annotated[Path, typer.Argument(help="A folder of DICOM files of one study.")],
    out: Annotated[Path, typer.Option(help="NIfTI file for the mask, .nii.gz or .nii.")],
    bundle: Bundles = None,
    device: Device = "auto",
) -> None:
    """Label the vertebrae of a study by a network, as a mask in the form of RSNA's.

    1 to 7 are C1 to C7; 8 is any vertebra below. The labels are predicted, not true.
    """
    from core.constants import VERTEBRAE
    from core.dataset.mask_writer import check_mask_name, write_mask_file
    from core.dicom.series import read_series
    from core.inference.segmentation import SegmentationPredictor
    from core.models.pairs import choose_segmenter

    check_mask_name(out)
    network = choose_segmenter(Settings().checkpoints, bundle or [])
    predictor = SegmentationPredictor(network, device=device)
    volume = read_series(study)
    found = predictor.segment(volume)
    write_mask_file(out, found.volume_labels(), volume)
    names = [VERTEBRAE[label - 1] for label in found.middles_mm()]
    typer.echo(f"{', '.join(names) or 'No vertebra C1 to C7'} labelled by {network.config.name}")
    for note in volume.notes:
        typer.echo(note)
    typer.echo(out)


@app.command()
def demo_segmenter(
    work: Annotated[Path, typer.Option(help="Folder for cohorts and the run.")] = Path(
        "var/training"
    ),
    score_only: Annotated[bool, typer.Option(help="Only measure again, without training.")] = False,
    jobs: Jobs = None,
) -> None:
    """Train the segmenter again and measure it on fresh synthetic studies."""
    from core.experiments.shipped_segmenter import build_segmenter

    with progress_bar("", "step") as progress:
        bundle = build_segmenter(
            Settings(), work, score_only=score_only, jobs=jobs, progress=progress, say=tqdm.write
        )
    for row in (bundle.metrics or {})["measured"]:
        typer.echo(row)
