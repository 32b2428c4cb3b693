from __future__ import annotations

import re
import subprocess

import pytest
import yaml

_FAKE = """#!/bin/sh
[ "$2" = core ] || echo "$@"
"""


@pytest.fixture
def start(repo_root, tmp_path):
    """Runs the start of the container with a `python` that prints its arguments."""
    python = tmp_path / "python"
    python.write_text(_FAKE)
    python.chmod(0o755)
    script = repo_root / "scripts" / "container_start.sh"

    def run(**environment: str) -> list[str]:
        variables = {"PATH": f"{tmp_path}:/usr/bin:/bin"} | environment
        return subprocess.run(
            ["sh", str(script)], env=variables, capture_output=True, text=True, check=True
        ).stdout.split()

    return run


def test_one_process_serves_every_address(start):
    words = start(ALLOWED_HOSTS="lab.example.org,b.example", MAX_UPLOAD_MIB="64")
    assert words[:4] == ["-m", "streamlit", "run", "streamlit_app.py"]
    assert words[words.index("--server.address") + 1] == "0.0.0.0"
    assert words[words.index("--server.maxUploadSize") + 1] == "64"
    assert {"localhost", "lab.example.org", "b.example"} <= set(words)


def test_several_workers_have_the_options_of_one(start):
    words = start(WORKERS="4", ALLOWED_HOSTS="lab.example.org")
    place = ["--address", "0.0.0.0", "--port", "8501", "--workers", "4", "--"]
    assert words[:9] == ["-m", "scripts.workers", *place]
    one = start(ALLOWED_HOSTS="lab.example.org")
    assert words[9:] == one[4 : one.index("--server.address")]


def test_the_image_holds_what_the_workers_import(repo_root):
    copied = (repo_root / "Dockerfile").read_text()
    sent = (repo_root / ".dockerignore").read_text()
    left, needed = {"workers"}, set()
    while left:
        name = left.pop()
        needed.add(name)
        source = (repo_root / "scripts" / f"{name}.py").read_text()
        left |= set(re.findall(r"^from scripts\.(\w+) import", source, re.MULTILINE)) - needed
    assert len(needed) > 2
    for name in needed:
        assert f"scripts/{name}.py" in copied
        assert f"!scripts/{name}.py\n" in sent


def test_compose_starts_workers_for_this_machine_only(repo_root):
    lab = yaml.safe_load((repo_root / "compose.yaml").read_text())["services"]["lab"]
    assert lab["environment"]["WORKERS"] == "${WORKERS:-4}"
    assert all(port.startswith("127.0.0.1:") for port in lab["ports"])
    assert lab["read_only"]
    assert lab["cap_drop"] == ["ALL"]
