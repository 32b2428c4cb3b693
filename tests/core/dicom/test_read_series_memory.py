"""Peak memory of reading, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.core.dicom.dicom_factory import write_ct_series

# The kernel's high-water mark: ru_maxrss is inherited from the process that started this one.
MEASURE = """
import sys
from pathlib import Path
from core.dicom.series import read_series

def kib(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))

read_series(Path(sys.argv[1]))
before = kib("VmRSS")
volume = read_series(Path(sys.argv[2]), jobs=4)
print((kib("VmHWM") - before) * 1024 / volume.hu.nbytes)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc"
)
@pytest.mark.parametrize("syntax", ["explicit", "jpeg-lossless"])
def test_peak_memory_stays_below_two_and_a_half_volumes(tmp_path: Path, repo_root: Path, syntax):
    plane = np.add.outer(np.arange(512), np.arange(512)).astype(np.int16)
    hu = np.broadcast_to(plane, (80, 512, 512))
    write_ct_series(tmp_path / "small", hu[:2], syntax=syntax)
    write_ct_series(tmp_path / "large", hu, syntax=syntax)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "small"), str(tmp_path / "large")],
        cwd=repo_root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert 0.9 < float(done.stdout) < 2.5, done.stdout
