from __future__ import annotations

import sys

import pytest

from scripts.freeze import lock_entries, lock_text, needs_newer_linux, platform_name, wanted_extras
from scripts.install import lock_files, pip_sources


def report(name="Torch_x", version="2.1", url="https://x/t-manylinux_2_34_x86_64.whl", sha="ab"):
    info = {"url": url, "archive_info": {"hashes": {"sha256": sha} if sha else {}}}
    return {"install": [{"metadata": {"name": name, "version": version}, "download_info": info}]}


def test_a_lock_has_a_pin_and_every_hash_of_it():
    assert lock_entries(report()) == {"torch-x": ("2.1", "ab")}
    text = lock_text({"b": ("1", {"22", "11"}), "a": ("3", {"0"})}, {"a": {"toml"}})
    assert text.split("\n") == [
        "a[toml]==3 \\", "    --hash=sha256:0",
        "b==1 \\", "    --hash=sha256:11 \\", "    --hash=sha256:22", "",
    ]  # fmt: skip


def test_extras_that_are_asked_for_are_in_the_lock():
    asks = report(name="a")["install"][0]
    asks["requested_extras"] = ["x"]
    asks["metadata"]["requires_dist"] = [
        "b[toml]>=1", "c[never]; extra == 'y'", "d[then]; extra == 'x'", "e"
    ]  # fmt: skip
    assert wanted_extras({"install": [asks]}) == {"a": {"x"}, "b": {"toml"}, "d": {"then"}}


@pytest.mark.parametrize("odd", [{"sha": ""}, {"version": "2.1+cpu"}])
def test_a_package_without_a_hash_or_of_another_index_is_not_locked(odd):
    with pytest.raises(ValueError, match="Torch_x"):
        lock_entries(report(**odd))


def test_files_for_a_newer_c_library_are_found():
    assert needs_newer_linux(report()) == ["torch-x"]
    both = "https://x/t-manylinux_2_17_x86_64.manylinux_2_34_x86_64.whl"
    assert needs_newer_linux(report(url=both)) == []
    assert needs_newer_linux(report(url="https://x/t-none-any.whl")) == []


def test_locks_are_used_where_they_fit_and_no_further_index_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    (tmp_path / "constraints.txt").write_text("")
    for name in ("requirements.lock", "requirements-dev.lock"):
        (tmp_path / name).write_text(f"# Fits: {platform_name()}\na==1\n")
    assert len(lock_files(dev=True, root=tmp_path)) == 2
    assert pip_sources(dev=False, root=tmp_path) == [
        "--require-hashes", "-r", str(tmp_path / "requirements.lock"),
    ]  # fmt: skip

    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "somewhere")
    assert "--require-hashes" not in pip_sources(dev=False, root=tmp_path)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL")
    monkeypatch.setattr(sys, "version_info", (3, 99, 0))
    assert lock_files(dev=False, root=tmp_path) == []
    assert "-c" in pip_sources(dev=True, root=tmp_path)
