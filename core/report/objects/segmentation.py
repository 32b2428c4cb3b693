"""Vertebrae as a DICOM segmentation."""

from __future__ import annotations

from typing import Final

import highdicom as hd
import numpy as np
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

from core.dataset.vertebra_codes import LEVEL_CODES, LEVELS
from core.errors import DataRootError
from core.report.objects.marks import RESEARCH, comment, description, mark, series_of
from core.report.objects.quiet import quiet
from core.report.objects.source import SourceSeries

SERIES_NUMBER: Final = 901
_TITLE: Final = "vertebrae"


def segmentation(
    source: SourceSeries, labels: NDArray[np.uint8], *, algorithm: str | None = None
) -> hd.seg.Segmentation:
    """Write vertebrae as one segment each, on the planes of the source's images.

    Args:
        source: The series.
        labels: uint8 (z, y, x) on the volume's grid, 1..7 C1..C7, 8..19 T1..T12.
        algorithm: Name of the network that drew them; None where they are a truth.

    Raises:
        DataRootError: No vertebra is labelled.
    """
    planes = source.planes_of(labels)
    present = [k for k in range(1, len(LEVELS) + 1) if (planes == k).any()]
    if not present:
        raise DataRootError("The mask labels no vertebra in the scan; give another one.")
    numbers = np.zeros(256, np.uint8)
    numbers[present] = range(1, len(present) + 1)
    drawn = numbers[planes]
    framed = source.frames[0] > 0
    images = [source.first] if framed else list(source.images)
    if framed:
        drawn = _in_frame_order(drawn, source)
    with quiet():
        made = hd.seg.Segmentation(
            source_images=images,
            pixel_array=drawn,
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[
                _segment(number, LEVELS[k - 1], algorithm) for number, k in enumerate(present, 1)
            ],
            content_label=RESEARCH,
            content_description=description(source, _TITLE),
            **series_of(source, SERIES_NUMBER, _TITLE),
        )
        mark(made, source)
        made.ImageComments = comment(source)
    return made


def _segment(number: int, level: str, algorithm: str | None) -> hd.seg.SegmentDescription:
    how = hd.seg.SegmentAlgorithmTypeValues
    identified = None if algorithm is None else hd.AlgorithmIdentificationSequence(
        name=algorithm, family=codes.cid7162.ArtificialIntelligence, version="1"
    )  # fmt: skip
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=level,
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=LEVEL_CODES[level],
        algorithm_type=how.MANUAL if algorithm is None else how.AUTOMATIC,
        algorithm_identification=identified,
    )


def _in_frame_order(planes: NDArray[np.uint8], source: SourceSeries) -> NDArray[np.uint8]:
    """Place planes by the number of their frame; frames that are not of the volume stay empty."""
    ordered = np.zeros((int(source.first.NumberOfFrames), *planes.shape[1:]), np.uint8)
    ordered[np.array(source.frames) - 1] = planes
    return ordered
