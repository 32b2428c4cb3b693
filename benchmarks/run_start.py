"""The start of a run over many files: looks at the disk, and time until every process is ready.

A run names each study by the content of its files, and to know that they have not changed it looks
at every one. Here a data root of small studies has been hashed before, as at every start but the
first. The peer is a start in which each process walks for itself, once per digest that it asks for;
the program walks once and hands what it found to the other processes. Processes are simulated one
after the other, so that the figures are processor time on any machine.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

from core.cache.keys import named_folder_digest, one_walk
from core.dataset.rsna import read_studies
from core.prepared.series_digests import series_digest, study_digests
from core.training.start_up import described, records_of
from core.types import StudyRecord
from tests.core.training.made_data_root import write_data_root

TARGET: Final = 2.0
RSNA_FILES: Final = 711_601


def digests_of(records: list[StudyRecord], cache: Path) -> None:
    """Ask for the digests of every study as a run does: for its slices, then for its origin."""
    for record in records:
        series_digest(record.folder, named_folder_digest, cache)
        study_digests(record, cache)
    for record in records:
        study_digests(record, cache)


def walks_of_their_own(root: Path, cache: Path, ranks: int) -> None:
    """Each process reads the data root and walks for every digest."""
    for _ in range(ranks):
        digests_of(read_studies(root), cache)


def one_shared_walk(root: Path, cache: Path, ranks: int) -> None:
    """The first process walks once; the others read what it found, through JSON as in a run."""
    with one_walk() as digests:
        records = read_studies(root)
        digests_of(records, cache)
    content = json.dumps({"digests": digests, "records": described(records)})
    for _ in range(ranks - 1):
        found: Mapping[str, Any] = json.loads(content)
        with one_walk(found["digests"]):
            digests_of(records_of(found["records"]), cache)


@contextmanager
def counted_looks() -> Iterator[list[str]]:
    """Count the files whose size and time are asked for."""
    looks: list[str] = []
    real = Path.stat

    def stat(self: Path, **options: bool) -> os.stat_result:
        if self.suffix == ".dcm":
            looks.append(self.name)
        return real(self, **options)

    with mock.patch.object(Path, "stat", stat):
        yield looks


def main() -> None:
    """Measure and print the figures, the last line as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=12)
    parser.add_argument("--slices", type=int, default=352)
    parser.add_argument("--ranks", type=int, default=4)
    options = parser.parse_args()
    files = options.studies * options.slices
    found: dict[str, tuple[float, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder, "root"), Path(folder, "cache")
        write_data_root(root, studies=options.studies, slices=options.slices)
        digests_of(read_studies(root), cache)
        for start in (walks_of_their_own, one_shared_walk):
            began = time.process_time()
            start(root, cache, options.ranks)
            seconds = time.process_time() - began
            with counted_looks() as looks:
                start(root, cache, options.ranks)
            found[start.__name__] = seconds, len(looks)
            print(
                f"{start.__name__}: {seconds:.2f} s, {len(looks) / files:.1f} looks at each of "
                f"{files:,} files; {seconds * RSNA_FILES / files:.0f} s for RSNA's {RSNA_FILES:,}"
            )
    (slow, many), (fast, few) = found.values()
    print(
        json.dumps(
            {
                "name": f"start of {options.ranks} processes",
                "peer": "a walk per process and digest",
                "ratio": round(slow / fast, 1),
                "target": TARGET,
                "looks": round(many / few, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
