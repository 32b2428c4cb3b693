"""The interface for programs on a running server: the client of the documentation, two at once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.dashboard.api.conftest import ZIP, zip_of_study
from tests.dashboard.workplace import FRACTURED, N_SLICES, SOUND
from tests.server.conftest import API_TOKEN

BEARER = {"Authorization": f"Bearer {API_TOKEN}"}


def predict(url: str, **request) -> dict:
    """The result of a prediction, which is deleted."""
    with httpx.Client(base_url=url, headers=BEARER, timeout=60) as http:
        answer = http.post("/api/v1/predictions", **request)
        assert answer.status_code == 202, answer.text
        place, deadline = answer.headers["location"], time.monotonic() + 240
        while (job := http.get(place).json())["state"] == "running":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert job["state"] == "finished", job
        result = http.get(f"{place}/result").json()
        assert http.delete(place).status_code == 204
        return result


def test_the_client_of_the_documentation_predicts_an_archive(
    open_server, workplace, repo_root, tmp_path
):
    text = (repo_root / "docs" / "api.md").read_text(encoding="utf-8")
    (tmp_path / "client.py").write_text(re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0])
    study = workplace.var / "demo" / "train_images" / FRACTURED
    (tmp_path / "series.zip").write_bytes(zip_of_study(study))
    places = {"LAB_URL": open_server, "SERIES_ZIP": str(tmp_path / "series.zip")}
    done = subprocess.run(
        [sys.executable, tmp_path / "client.py"], capture_output=True, text=True, check=False,
        env=os.environ | places | {"API_TOKEN": API_TOKEN},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"[a-z ]+: 0\.\d{3}, 0 boxes\n", done.stdout)


def test_two_clients_at_once_get_each_their_own(open_server, workplace):
    images = workplace.var / "demo" / "train_images"
    with ThreadPoolExecutor(2) as clients:
        archive = clients.submit(
            predict, open_server, content=zip_of_study(images / SOUND), headers=ZIP
        )
        study = clients.submit(predict, open_server, json={"study": FRACTURED})
        found = [archive.result()["predictions"], study.result()["predictions"]]
    assert [one["study_id"] for one in found] == [SOUND, FRACTURED]
    assert [one["n_slices"] for one in found] == [N_SLICES, N_SLICES]


def test_a_server_without_a_token_has_no_interface(lab_server):
    for path in ("/api", "/api/v1/openapi.json", "/api/v1/predictions/x"):
        answer = httpx.get(lab_server + path, headers=BEARER)
        assert (answer.status_code, answer.content) == (404, b"")


@pytest.mark.parametrize(("headers", "status"), [({}, 401), (BEARER, 404)])
def test_where_pages_ask_for_a_login_the_token_suffices(login_server, headers, status):
    answer = httpx.get(f"{login_server.url}/api/v1/predictions/x", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
