from __future__ import annotations

import io
import json
import shutil
import zipfile

import pytest

from core.constants import VERTEBRAE
from core.inference import verdict
from core.inference.plausibility import LevelPlausibility, check_levels
from core.models.operating_points import SavedOperatingPoint
from core.models.pairs import BundlePair
from dashboard.diagnosis import errors_list
from dashboard.diagnosis import verdict as verdict_module
from dashboard.studies import cohort, open_study, predictions
from dashboard.studies.served_bytes import PIXELS
from tests.core.models.made_segmenter import write_untrained_segmenter
from tests.dashboard.workplace import FRACTURED, N_SLICES, SOUND
from tests.pages.driver import (
    html,
    open_page,
    open_read_study,
    release,
    slider,
    viewer,
    viewers,
    wait_for,
    wait_for_verdict,
)


@pytest.fixture(autouse=True)
def plausible(monkeypatch):
    """The made networks see levels at random; what follows from that is tested elsewhere."""
    monkeypatch.setattr(verdict, "check_levels", lambda _: LevelPlausibility(()))


@pytest.mark.slow
def test_a_study_is_read_and_called(at_work):
    app = open_read_study()
    text = html(app)
    assert not app.exception
    assert not app.error
    assert "Fracture suspected" in text
    assert all(f"</span>{name}</td>" in text for name in VERTEBRAE)
    told = viewer(app)
    assert told["shape"] == [N_SLICES, 64, 64]
    assert len(told["ribbon"]["probs"]) == N_SLICES
    assert told["goTo"]["slice"] == int(app.query_params["slice"])


def test_implausible_levels_give_no_call(at_work, monkeypatch):
    monkeypatch.setattr(verdict, "check_levels", check_levels)
    app = open_read_study()
    assert verdict.NO_CALL in html(app)
    assert "lab-no-call" in html(app)
    assert "Fracture suspected" not in html(app)


def test_the_sliders_start_at_the_operating_points(at_work):
    app = open_read_study()
    assert slider(app, "patient_threshold")["values"][0] == 0.6
    assert slider(app, "vertebra_threshold")["values"][0] == 0.3
    assert "highest F1, shipped" in slider(app, "patient_threshold")["labels"][0]


@pytest.mark.slow
def test_moving_the_threshold_changes_the_call_without_the_networks(at_work, monkeypatch):
    app = open_read_study()

    def forbidden(*args):
        raise AssertionError("the networks ran again")

    monkeypatch.setattr(predictions, "_predict", forbidden)
    release(app, "patient_threshold", 1.0)
    assert "No fracture called" in html(app)
    release(app, "patient_threshold", 0.0)
    assert "Fracture suspected" in html(app)
    release(app, "vertebra_threshold", 1.0)
    table = next(e.proto.body for e in app.get("html") if "lab-vertebrae" in e.proto.body)
    assert "lab-pill-amber" not in table
    assert not app.exception


@pytest.mark.slow
def test_thresholds_go_back_to_the_operating_points(at_work):
    app = open_read_study()
    release(app, "patient_threshold", 0.9)
    app.button(key="points_reset").click().run()
    assert slider(app, "patient_threshold")["values"][0] == 0.6


@pytest.mark.slow
def test_a_threshold_set_here_says_by_whom_and_offers_the_shipped_one(at_work, monkeypatch):
    here = SavedOperatingPoint(0.7, "set by hand", "set by chief on 2026-05-04", "12 studies")
    shipped = verdict_module.operating_point
    monkeypatch.setattr(
        verdict_module, "operating_point",
        lambda bundle, level: here if level == "patient" else shipped(bundle, level),
    )  # fmt: skip
    app = open_read_study()
    assert slider(app, "patient_threshold")["values"][0] == 0.7
    captions = " ".join(caption.value for caption in app.caption)
    assert "Set by chief on 2026-05-04: 0.700, chosen by hand on 12 studies." in captions
    app.button(key="points_shipped").click().run()
    assert slider(app, "patient_threshold")["values"][0] == 0.6


def test_a_jump_shows_the_most_suspicious_slice(at_work):
    app = open_page("overview")
    app.switch_page("../pages/diagnosis.py")
    app.query_params["slice"] = "1"
    wait_for_verdict(app.run())
    assert viewer(app)["goTo"] == {"slice": 1, "serial": 1}
    peak = int(app.button(key="jump_study").help.rpartition(" ")[2])
    assert peak != 1
    app.button(key="jump_study").click().run()
    assert viewer(app)["goTo"] == {"slice": peak, "serial": 2}
    assert app.query_params["slice"] == str(peak)


def test_the_truth_is_shown_only_on_request(at_work):
    app = open_read_study()
    assert "Truth" not in html(app)
    app.toggle(key="show_truth").set_value(True).run()
    assert "Truth: fractured – the call agrees" in html(app)


@pytest.mark.slow
def test_another_study_can_be_chosen(at_work):
    app = open_read_study(study=SOUND)
    assert not app.exception
    assert app.query_params["study"] == SOUND


@pytest.mark.slow
def test_a_link_opens_its_study_at_its_slice(at_work):
    app = open_page("overview")
    app.switch_page("../pages/diagnosis.py")
    app.query_params["study"] = SOUND
    app.query_params["slice"] = "2"
    app.run()
    assert app.selectbox(key="study").value == SOUND
    wait_for_verdict(app)
    assert viewer(app)["goTo"]["slice"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("typed", ["/no/such/folder", "/etc/hostname", "a\0b", "x" * 5000])
def test_a_bad_folder_is_one_sentence_and_the_page_stays(at_work, typed):
    app = open_page("diagnosis")
    app.button_group(key="source").set_value("Folder").run()
    app.text_input(key="folder").set_value(typed).run()
    assert not app.exception
    assert len(app.error) == 1
    folder = at_work.var / "demo" / "train_images" / SOUND
    app.text_input(key="folder").set_value(f' "{folder}" ').run()
    assert not app.error
    assert "lab-verdict" in html(wait_for_verdict(app))


def test_a_folder_without_dicom_is_one_sentence(at_work, tmp_path):
    (tmp_path / "note.txt").write_text("hello")
    app = open_page("diagnosis")
    app.button_group(key="source").set_value("Folder").run()
    app.text_input(key="folder").set_value(str(tmp_path)).run()
    assert not app.exception
    assert "DICOM" in app.error[0].value


@pytest.mark.slow
def test_an_uploaded_archive_is_read_like_the_study_it_holds(at_work):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in (at_work.var / "demo" / "train_images" / FRACTURED).iterdir():
            archive.write(path, f"anything/{path.name}")
    app = open_page("diagnosis")
    app.button_group(key="source").set_value("Upload").run()
    app.file_uploader[0].upload("study.zip", stream.getvalue(), "application/zip").run()
    wait_for_verdict(app)
    assert not app.exception
    assert "trained on synthetic studies only" in app.warning[0].value


def zipped(*files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"not a zip", "not a zip"),
        (zipped(), "no files"),
        (zipped(("a/b/c/note.txt", b"hello")), "DICOM"),
        (zipped(("../out.dcm", b"x")), "outside"),
    ],
)
def test_an_upload_that_is_no_series_is_one_sentence(at_work, content, word):
    app = open_page("diagnosis")
    app.button_group(key="source").set_value("Upload").run()
    app.file_uploader[0].upload("study.zip", content, "application/zip").run()
    wait_for(app, lambda: app.error)
    assert not app.exception
    assert len(app.error) == 1
    assert word in app.error[0].value
    assert not list((at_work.var / "uploads").rglob("*.zip"))


@pytest.mark.slow
def test_an_upload_is_seen_by_its_own_session_only(at_work):
    series = at_work.var / "demo" / "train_images" / FRACTURED
    files = [(f"deep/er/{path.name}", path.read_bytes()) for path in series.iterdir()]
    app = open_page("diagnosis")
    app.button_group(key="source").set_value("Upload").run()
    app.file_uploader[0].upload("study.zip", zipped(*files), "application/zip").run()
    wait_for(app, lambda: viewers(app))
    told = viewer(app)
    assert told["shape"] == [N_SLICES, 64, 64]
    assert PIXELS.find(told["source"], "") is None
    assert PIXELS.find(told["source"], told["proof"]) is not None
    assert "study" not in app.query_params


def test_the_truth_is_drawn_over_the_slices_only_on_request(at_work):
    app = open_read_study()
    names = [layer["name"] for layer in viewer(app)["overlays"]]
    assert "True boxes" not in names
    app.toggle(key="show_truth").set_value(True).run()
    layers = {layer["name"]: layer for layer in viewer(app)["overlays"]}
    assert layers["True boxes"]["boxes"] == [[4, 10.0, 12.0, 30.0, 40.0, 1.0]]


@pytest.mark.slow
def test_grad_cam_of_a_vertebra_is_drawn_over_its_slice(at_work):
    app = open_read_study()
    app.button_group(key="explain").set_value("C4").run()
    assert not app.exception
    told = viewer(app)
    (heat,) = [layer for layer in told["overlays"] if layer["kind"] == "heat"]
    assert heat["name"] == "Grad-CAM C4"
    assert heat["slices"] == [told["goTo"]["slice"]]
    assert app.query_params["vertebra"] == "C4"
    source = PIXELS.find(heat["source"], "")
    assert source.slices(heat["slices"][0]).shape == (64, 64)


@pytest.mark.slow
def test_steps_lead_through_the_studies_and_to_a_wrong_call(at_work):
    app = open_read_study()
    app.button(key="step_Next").click().run()
    assert app.selectbox(key="study").value == SOUND
    assert app.button(key="step_Next").disabled
    wait_for_verdict(app)
    # Both studies are called fractured, so the sound one is the one wrong call.
    app.button(key="step_Previous").click().run()
    assert app.selectbox(key="study").value == FRACTURED
    app.button(key="errors").click().run()
    assert app.selectbox(key="study").value == SOUND
    captions = " ".join(caption.value for caption in app.caption)
    assert "Errors of fracture-made: 1 of 1 – false alarm, patient score" in captions
    assert app.button(key="step_Next").disabled
    app.selectbox(key="study").set_value(FRACTURED).run()
    app.button(key="step_back").click().run()
    assert app.selectbox(key="study").value == SOUND
    app.button(key="leave_worklist").click().run()
    assert not app.button(key="step_Previous").disabled


def test_without_a_wrong_call_the_errors_are_not_opened(at_work, monkeypatch):
    monkeypatch.setattr(errors_list, "stored_scores", lambda *_: None)
    app = open_read_study()
    app.button(key="errors").click().run()
    assert app.selectbox(key="study").value == FRACTURED
    assert any("called wrongly" in info.value for info in app.info)


def test_batch_mode_reads_the_data_set_into_a_table(at_work):
    app = open_page("diagnosis")
    app.button_group(key="diagnosis_mode").set_value("Many studies").run()
    app.button(key="batch_start").click().run()
    wait_for(app, lambda: not any(b.key == "batch_cancel" for b in app.button))
    assert not app.exception
    table = app.dataframe[0].value
    assert table["Study"].tolist() == [FRACTURED, SOUND]
    assert table["Truth"].tolist() == ["fracture", "none"]
    assert table["Right"].tolist() == ["yes", "no"]
    assert any("1 of 2" in text.value for text in app.markdown)


def test_a_batch_folder_without_studies_is_one_sentence(at_work, tmp_path):
    app = open_page("diagnosis")
    app.button_group(key="diagnosis_mode").set_value("Many studies").run()
    app.text_input(key="batch_folder").set_value(str(tmp_path)).run()
    assert not app.exception
    assert "holds no files" in app.error[0].value


@pytest.mark.parametrize("typed", ["~nobody-of-this-name/ct", "/data/" + "a" * 300])
def test_a_folder_that_cannot_be_is_one_sentence(at_work, typed):
    app = open_page("diagnosis")
    app.button_group(key="source").set_value("Folder").run()
    app.text_input(key="folder").set_value(typed).run()
    assert not app.exception
    assert len(app.error) == 1
    app.button_group(key="diagnosis_mode").set_value("Many studies").run()
    app.text_input(key="batch_folder").set_value(typed).run()
    assert not app.exception
    assert len(app.error) == 1


def test_without_bundles_the_slices_can_still_be_seen(at_work, monkeypatch, tmp_path):
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path))
    app = open_page("diagnosis")
    assert not app.exception
    assert "make demo-models" in app.info[0].value
    assert viewer(app)["goTo"]["slice"] == N_SLICES // 2


def test_without_a_cohort_the_page_says_how_to_get_one(at_work, monkeypatch, tmp_path):
    monkeypatch.setenv("CSPINE_VAR", str(tmp_path))
    app = open_page("diagnosis")
    assert not app.exception
    assert "make run" in app.info[0].value


@pytest.mark.slow
def test_a_prediction_that_fails_says_why_and_can_be_tried_again(at_work, monkeypatch, tmp_path):
    shutil.copytree(at_work.checkpoints, tmp_path / "ck")
    weights = tmp_path / "ck" / "fracture-made" / "model.safetensors"
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path / "ck"))
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "cache"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1000])
    predictions._predictor.cache_clear()
    app = open_page("diagnosis")
    study = open_study.open_study(at_work.var / "demo" / "train_images" / FRACTURED)
    pair = BundlePair(cohort.bundles("vertebra")[0], cohort.bundles("fracture")[0])
    predictions.find_job(study, pair).future.exception(timeout=60)
    app.run()
    assert not app.exception
    assert len(app.error) == 1
    weights.write_bytes(whole)
    next(b for b in app.button if b.label == "Try again").click().run()
    wait_for_verdict(app)


@pytest.mark.slow
def test_a_real_scan_opens_as_a_typed_folder(at_work, real_ct, monkeypatch):
    monkeypatch.setenv("BROWSE_ROOTS", str(real_ct))
    app = open_page("diagnosis")
    app.button_group(key="source").set_value("Folder").run()
    app.text_input(key="folder").set_value(str(real_ct)).run()
    wait_for_verdict(app)
    assert not app.exception
    assert not app.error
    assert "65 slices" in html(app)
    assert "synthetic studies only" in app.warning[0].value


@pytest.mark.slow
def test_second_opinions_name_the_origin_of_their_thresholds(at_work):
    app = open_read_study()
    # The sentence shows special characters with a backslash.
    words = " ".join(caption.value for caption in app.caption).replace("\\", "")
    assert "fracture-made – patient: operating point 0.600, highest F1, shipped" in words
    assert "vertebrae: operating point 0.300, highest F1, shipped" in words


@pytest.mark.slow
def test_the_labels_of_a_segmenter_may_give_the_presence(at_work, monkeypatch, tmp_path):
    shutil.copytree(at_work.checkpoints, tmp_path / "checkpoints")
    write_untrained_segmenter(tmp_path / "checkpoints")
    monkeypatch.setenv("CHECKPOINTS", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("RSNA_CACHE", str(tmp_path / "cache"))
    app = open_page("diagnosis", study=FRACTURED, vertebra_network="segmentation-untrained")
    wait_for_verdict(app)
    assert not app.exception
    assert app.selectbox(key="vertebra_bundle").value == "segmentation-untrained"
    (written,) = (tmp_path / "cache" / "predictions").glob("*/predictions.json")
    told = json.loads(written.read_text())
    assert told["presence_from"] == "segmentation-untrained"
    assert told["bundles"] == ["segmentation-untrained", "vertebra-made", "fracture-made"]
    assert "Predicted vertebrae" in [layer["name"] for layer in viewer(app)["overlays"]]
