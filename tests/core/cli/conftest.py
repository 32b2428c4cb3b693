"""The command line, run in this process."""

import pytest

from core import cli


@pytest.fixture
def run(monkeypatch, capsys, untrained_bundles):
    """Run `python -m core ...`; gives status, standard output and standard error."""
    monkeypatch.setenv("CHECKPOINTS", str(untrained_bundles))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["core", *map(str, arguments)])
        try:
            cli.main()
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        return status, *capsys.readouterr()

    return call
