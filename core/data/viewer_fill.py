"""The viewer's volumes of many studies, prepared before anybody opens one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from core.cache.eviction import StoreLimit
from core.prepared.volumes import load_viewer_volume
from core.system.parallel import Workers, run_over
from core.types import StudyRecord

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class VolumesReport:
    """What a call of `fill_viewer_store` did.

    Attributes:
        ready: Studies whose volume was prepared or found.
        failed: Study id and reason of the others.
        bytes: Size of the volumes that were prepared or found.
    """

    ready: int
    failed: list[tuple[str, str]]
    bytes: int


def fill_viewer_store(
    records: Iterable[StudyRecord],
    *,
    cache_dir: Path,
    workers: Workers,
    limit: StoreLimit | None = None,
    progress: Progress | None = None,
) -> VolumesReport:
    """Prepare many volumes, over processes or a cluster that share `cache_dir`.

    A study that cannot be read is reported and does not stop the others.

    Args:
        records: The studies.
        cache_dir: Folder of the store.
        workers: Where the work is done.
        limit: Size of the store; `CACHE_LIMIT_GIB` of this process unless given.
        progress: Called with (studies done, studies in all).

    Raises:
        ConfigError: The cluster cannot be used.
    """
    prepare = functools.partial(
        _volume_bytes,
        cache_dir=cache_dir,
        limit=limit or StoreLimit.from_settings(),
        jobs=None if workers.jobs == 1 else 1,
    )
    sizes: list[int] = []
    failed: list[tuple[str, str]] = []
    for outcome in run_over(prepare, records, workers=workers, progress=progress):
        if outcome.value is not None:
            sizes.append(outcome.value)
        else:
            failed.append((outcome.item.study_id, str(outcome.error)))
    return VolumesReport(len(sizes), sorted(failed), sum(sizes))


def _volume_bytes(
    record: StudyRecord, *, cache_dir: Path, limit: StoreLimit, jobs: int | None
) -> int:
    return load_viewer_volume(record, cache_dir=cache_dir, jobs=jobs, limit=limit).hu.nbytes
