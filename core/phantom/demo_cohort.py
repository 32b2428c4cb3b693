"""The embedded default data: a small synthetic cohort."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from core.config import Settings
from core.errors import DataRootError
from core.phantom.cohort import discard_outdated, write_cohort

DEMO_STUDIES: Final = 12
DEMO_SEED: Final = 2022
"""Not used by any training or held-out cohort."""


def prepare_demo(
    settings: Settings,
    *,
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Make the demo cohort if it is missing, and replace one of an earlier generator.

    Args:
        settings: Paths; if `rsna_root` is set, that data set is checked instead.
        jobs: Processes; None means one per core.
        progress: Called with (done, total) studies.

    Returns:
        Number of studies made or found; 0 if `rsna_root` is used.

    Raises:
        DataRootError: `rsna_root` has no `train_images`.
        StorageError: The folder cannot be written.
    """
    root = settings.rsna_root
    if root is not None:
        if not (root / "train_images").is_dir():
            raise DataRootError(
                f"{root} holds no folder train_images; set RSNA_ROOT to the unpacked data set."
            )
        return 0
    discard_outdated(settings.demo_root)
    uids = write_cohort(
        settings.demo_root, studies=DEMO_STUDIES, seed=DEMO_SEED, jobs=jobs, progress=progress
    )
    return len(uids)
