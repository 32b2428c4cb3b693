"""Health check of the container: exit status 0 if the server answers below its base path."""

from __future__ import annotations

import os
import sys
import urllib.request


def health_url(port: int = 8501) -> str:
    """Address of the health check of a server on this machine.

    Args:
        port: Port that the server listens on.
    """
    base = os.environ.get("STREAMLIT_SERVER_BASE_URL_PATH", "").strip("/")
    return f"http://127.0.0.1:{port}/{base + '/' if base else ''}_stcore/health"


def main() -> int:
    """Return 0 if the server answers, else 1."""
    try:
        with urllib.request.urlopen(health_url(), timeout=4):
            return 0
    except OSError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
