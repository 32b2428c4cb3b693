"""Fill the store for many studies, over processes or a cluster that share its folder."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from core.cache.entries import CacheEntry
from core.system.parallel import Workers, run_over
from core.types import Progress, Store, StudyRecord

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What filling the store did.

    Attributes:
        built: Studies prepared now.
        found: Studies that the store held already.
        failed: Study id and reason of those that could not be prepared.
        bytes: Size of the entries of the studies built and found.
        notes: Sentences about the store for the user to see.
    """

    built: int
    found: int
    failed: list[tuple[str, str]]
    bytes: int
    notes: tuple[str, ...] = ()


def fill_entries(
    fetch: Callable[..., CacheEntry],
    records: Iterable[StudyRecord],
    *,
    store: Store,
    workers: Workers,
    progress: Progress | None,
) -> StoreReport:
    """Prepare each study's entry.

    A study that cannot be read is reported and does not stop the others. Cut off, the call goes on
    where it was when it is made again.

    Args:
        fetch: Gives a record's entry; takes `store`, and `jobs`, the threads that read a series.
        records: The studies.
        store: What `fetch` fills.
        workers: Where the work is done.
        progress: Called with (studies done, studies in all).

    Raises:
        ConfigError: The cluster cannot be used.
        WorkerError: Local processes die again and again.
    """
    fetch = functools.partial(fetch, store=store, jobs=None if workers.jobs == 1 else 1)
    prepare = functools.partial(_prepare, fetch)
    sizes: list[tuple[bool, int]] = []
    failed: list[tuple[str, str]] = []
    for outcome in run_over(prepare, records, workers=workers, progress=progress):
        if outcome.value is not None:
            sizes.append(outcome.value)
        else:
            failed.append((outcome.item.study_id, str(outcome.error)))
    total = sum(size_bytes for _, size_bytes in sizes)
    built = sum(was_built for was_built, _ in sizes)
    notes: tuple[str, ...] = ()
    if total > store.limit_bytes:
        notes = (
            f"These studies take {total / 2**30:.1f} GiB, but the store may hold "
            f"{store.limit_bytes / 2**30:.1f} GiB, so the first ones are gone again; raise "
            "CACHE_LIMIT_GIB or choose a smaller size.",
        )
        _log.warning("%s", notes[0])
    return StoreReport(built, len(sizes) - built, sorted(failed), total, notes)


def _prepare(fetch: Callable[..., CacheEntry], record: StudyRecord) -> tuple[bool, int]:
    """Whether a study's entry was built now, and its size."""
    entry = fetch(record)
    return entry.built, entry.bytes
