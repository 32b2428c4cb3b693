"""The interface for programs: who may ask, what is refused and how, and what is given."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from pathlib import Path

import pytest

from core.inference.batch import predict_folder
from core.inference.boxes.boxes_csv import read_boxes
from core.models.pairs import choose_pair
from dashboard.api.resources import PredictionJob, PredictionResult, Problem
from dashboard.studies import predictions
from tests.dashboard.api.conftest import BEARER, TOKEN, ZIP, ended, place_of, zip_of, zip_of_study
from tests.dashboard.workplace import FRACTURED, N_SLICES, SOUND


def problem(answer, status):
    """The sentence of a refusal, whose form is checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    found = Problem.model_validate_json(answer.content)
    assert found.status == status
    assert found.detail.endswith(".")
    assert "\n" not in found.detail
    return found.detail


def stored(tmp_path) -> list[Path]:
    uploads = tmp_path / "var" / "uploads"
    return [file for file in uploads.rglob("*") if file.is_file() and ".sessions" not in file.parts]


@pytest.fixture
def held(monkeypatch):
    """Predictions wait until they are let go or cancelled; how each has ended."""
    let_go, ends = threading.Event(), []

    def wait(study, pair, folder, progress):
        del study, pair, folder
        try:
            while not let_go.wait(0.01):
                progress(0, 10)
        except BaseException as end:
            ends.append(type(end).__name__)
            raise
        ends.append("done")

    monkeypatch.setattr(predictions, "_predict", wait)
    yield let_go, ends
    let_go.set()


def test_without_a_token_of_the_server_there_is_no_interface(api, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "")

    async def check(http):
        for path in ("/openapi.json", "/predictions/x", "/predictions", "/else"):
            assert (await http.get(path)).status_code == 404
            answer = await http.post(path, content=b"x", headers=ZIP)
            assert (answer.status_code, answer.content) == (404, b"")

    api(check)


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer ü"],
)
def test_a_wrong_token_is_refused_before_anything_is_read(api, given, tmp_path):
    async def check(http):
        header = {"Authorization": given.encode()}
        for method, path in (("POST", "/predictions"), ("GET", "/predictions/x")):
            answer = await http.request(method, path, headers=ZIP | header, content=b"x")
            problem(answer, 401)
            assert answer.headers["www-authenticate"] == "Bearer"
        assert not stored(tmp_path)

    api(check)


def test_the_document_describes_every_route_and_needs_no_token(api):
    async def check(http):
        answer = await http.get("/openapi.json", headers={"Authorization": ""})
        document = answer.json()
        assert document["openapi"] == "3.1.0"
        text = json.dumps(document)
        for part in text.split('"$ref": "#/components/schemas/')[1:]:
            assert part.split('"')[0] in document["components"]["schemas"]
        for path, operations in document["paths"].items():
            for method in operations.keys() - {"parameters"}:
                place = path.format(id="unknown")
                answer = await http.request(method.upper(), place)
                described = operations[method]["responses"]
                assert str(answer.status_code) in described, (method, path)
                assert (
                    answer.headers["content-type"] in described[str(answer.status_code)]["content"]
                )
        # A path that is not in the document has nothing, whatever the method.
        for method, path in (("GET", "/predictions"), ("PUT", "/predictions/x"), ("GET", "/x")):
            problem(await http.request(method, path), 404)

    api(check)


@pytest.mark.slow
def test_a_study_of_the_data_set_gives_what_the_command_line_writes(api, at_work, tmp_path):
    async def check(http):
        answer = await http.post("/predictions", json={"study": FRACTURED})
        job = PredictionJob.model_validate(answer.json())
        assert place_of(answer) == f"/predictions/{job.id}"
        job = PredictionJob.model_validate(await ended(http, answer))
        assert (job.state, job.stage, job.error) == ("finished", "done", None)
        result = (await http.get(f"/predictions/{job.id}/result")).json()
        PredictionResult.model_validate(result)
        study = at_work.var / "demo" / "train_images" / FRACTURED
        predict_folder(study, tmp_path / "out", choose_pair(at_work.checkpoints))
        written = json.loads((tmp_path / "out" / "predictions.json").read_text())
        assert result["predictions"] | {"seconds": 0} == written | {"seconds": 0}
        assert result["boxes"] == [] == list(read_boxes(tmp_path / "out"))

    api(check)


@pytest.mark.slow
def test_an_archive_is_predicted_and_deleted_with_all_that_was_made_of_it(
    api, at_work, tmp_path, caplog
):
    caplog.set_level(logging.DEBUG)

    async def check(http):
        archive = zip_of_study(at_work.var / "demo" / "train_images" / SOUND)
        answer = await http.post("/predictions", content=archive, headers=ZIP)
        place = place_of(answer)
        problem(await http.get(f"{place}/result"), 409)
        assert (await ended(http, answer))["state"] == "finished"
        result = (await http.get(f"{place}/result")).json()
        assert result["predictions"]["n_slices"] == N_SLICES
        assert stored(tmp_path)
        assert (await http.delete(place)).status_code == 204
        assert not stored(tmp_path)
        for path in (place, f"{place}/result"):
            problem(await http.get(path), 404)
        problem(await http.delete(place), 404)

    api(check)
    assert "MUSTERMANN" not in caplog.text


@pytest.mark.slow
def test_bundles_are_named_as_in_links(api):
    async def check(http):
        wanted = {"bundle": ["vertebra-made", "fracture-made"]}
        answer = await http.post("/predictions", params=wanted, json={"study": SOUND})
        job = await ended(http, answer)
        result = (await http.get(f"/predictions/{job['id']}/result")).json()
        assert result["predictions"]["bundles"] == wanted["bundle"]
        for names in (["../../etc"], ["fracture-made", "fracture-made"]):
            sentence = problem(
                await http.post("/predictions", params={"bundle": names}, json={"study": SOUND}),
                422,
            )
            assert "etc" not in sentence

    api(check)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "text/plain"}, b"x", 415),
        ({}, b"", 415),
        ({"Content-Type": "application/json"}, b"{", 422),
        ({"Content-Type": "application/json"}, b'{"study": 1}', 422),
        ({"Content-Type": "application/json"}, b'{"study": "1.2", "folder": "/etc"}', 422),
        ({"Content-Type": "application/json"}, b'{"study": "1.2.3"}', 404),
        ({"Content-Type": "application/json"}, b'{"study": "../../etc"}', 404),
        ({"Content-Type": "application/json"}, b" " * 5000, 413),
        (ZIP, b"", 400),
        (ZIP, bytes((1 << 20) + 1), 413),
        (ZIP | {"Content-Length": "x"}, b"x", 400),
    ],
)
@pytest.mark.usefixtures("held")
def test_a_bad_request_is_refused_in_a_sentence_and_leaves_nothing(
    api, headers, body, status, tmp_path, monkeypatch
):
    monkeypatch.setenv("API_MAX_JOBS", "1")

    async def check(http):
        problem(await http.post("/predictions", headers=headers, content=body), status)
        assert not stored(tmp_path)
        # Its place is free again.
        assert (await http.post("/predictions", json={"study": SOUND})).status_code == 202

    api(check)


def test_a_body_that_announces_too_much_is_not_read(api, tmp_path):
    asked = []

    async def pieces():
        asked.append("a piece")
        yield b"x"

    async def check(http):
        announced = ZIP | {"Content-Length": str((1 << 20) + 1)}
        problem(await http.post("/predictions", headers=announced, content=pieces()), 413)
        assert not stored(tmp_path)

    api(check)
    assert asked == []


def test_a_body_of_unknown_length_ends_at_the_limit(api, tmp_path):
    async def pieces():
        for _ in range(64):
            yield bytes(1 << 16)

    async def check(http):
        problem(await http.post("/predictions", headers=ZIP, content=pieces()), 413)
        assert not stored(tmp_path)

    api(check)


@pytest.mark.parametrize(
    "archive",
    [
        b"no zip at all",
        zip_of({"1.dcm": b"no DICOM"}),
        zip_of({"bomb.dcm": bytes(8 << 20)}),
        zip_of({"../../outside.dcm": b"x"}),
    ],
)
def test_a_bad_archive_fails_in_a_sentence_and_leaves_nothing(api, archive, tmp_path):
    async def check(http):
        answer = await http.post("/predictions", content=archive, headers=ZIP)
        job = await ended(http, answer)
        assert job["state"] == "failed"
        assert job["error"].endswith(".")
        sentence = problem(await http.get(f"/predictions/{job['id']}/result"), 409)
        assert sentence == job["error"]
        await http.delete(place_of(answer))
        assert not stored(tmp_path)

    api(check)


async def comes_true(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def test_too_many_jobs_are_refused_until_one_has_gone(api, held, monkeypatch):
    monkeypatch.setenv("API_MAX_JOBS", "2")

    async def check(http):
        jobs = [await http.post("/predictions", json={"study": SOUND}) for _ in range(2)]
        refused = await http.post("/predictions", json={"study": SOUND})
        problem(refused, 429)
        assert int(refused.headers["retry-after"]) > 0
        await http.delete(place_of(jobs[0]))
        assert (await http.post("/predictions", json={"study": SOUND})).status_code == 202

    api(check)


def test_a_deleted_job_ends_its_work_unless_another_client_waits_for_it(api, held):
    _, ends = held

    async def check(http):
        first, second = [await http.post("/predictions", json={"study": SOUND}) for _ in range(2)]
        for answer in (first, second):
            async with asyncio.timeout(60):
                while (await http.get(place_of(answer))).json()["total"] != 10:
                    await asyncio.sleep(0.01)
        await http.delete(place_of(first))
        assert (await http.get(place_of(second))).json()["state"] == "running"
        assert ends == []
        await http.delete(place_of(second))
        await comes_true(lambda: ends == ["JobCancelledError"])

    api(check)


def test_a_finished_job_goes_after_its_time(api, monkeypatch):
    monkeypatch.setenv("API_KEEP_MINUTES", "0.001")

    async def check(http):
        answer = await http.post("/predictions", json={"study": "unknown"})
        problem(answer, 404)
        answer = await http.post("/predictions", content=b"no zip", headers=ZIP)
        async with asyncio.timeout(60):
            while (await http.get(place_of(answer))).status_code != 404:
                await asyncio.sleep(0.02)

    api(check)


def test_what_fails_unexpectedly_is_logged_without_its_text(api, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("MUSTERMANN^ERIKA")

    monkeypatch.setattr("dashboard.api.jobs.open_study", fail)
    monkeypatch.setattr("dashboard.api.routes.find_cohort", lambda: (_ for _ in ()).throw(KeyError))

    async def check(http):
        problem(await http.post("/predictions", json={"study": SOUND}), 500)
        monkeypatch.undo()

    api(check)
    assert "MUSTERMANN" not in caplog.text


def test_the_limits_of_the_server_answer_in_the_same_form(api, monkeypatch):
    monkeypatch.setenv("MAX_REQUESTS_PER_ADDRESS", "1")

    async def check(http):
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow():
            yield b"x"
            begun.set()
            await go_on.wait()

        first = asyncio.ensure_future(http.post("/predictions", content=slow(), headers=ZIP))
        await begun.wait()
        problem(await http.get("/predictions/x"), 429)
        go_on.set()
        assert (await first).status_code == 202
        answer = await http.get("/predictions/x", headers={"Host": "elsewhere.example"})
        problem(answer, 400)

    api(check)


def test_a_short_token_is_refused_at_the_start(monkeypatch):
    from core.errors import ConfigError
    from dashboard.session.settings import api_settings

    monkeypatch.setenv("API_TOKEN", "guessable")
    with pytest.raises(ConfigError, match="API_TOKEN") as raised:
        api_settings()
    assert "guessable" not in str(raised.value)
    assert BEARER["Authorization"].endswith(TOKEN)
