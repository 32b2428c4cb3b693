"""The command line and untrained bundles, as the tests of the command line use them."""

from tests.core.cli.conftest import run
from tests.core.conftest import made_once, untrained_bundles

__all__ = ["made_once", "run", "untrained_bundles"]
