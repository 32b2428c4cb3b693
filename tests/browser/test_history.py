"""Back and Forward: one action of the user is one entry, and an entry shows what it showed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from core.config import RunConfig
from core.system import atomic_files
from core.training.runs import RunFolder
from tests.browser.scene_page import at_rest, open_scene, root_of
from tests.browser.server import serve
from tests.browser.waiting import FIRST_TIME_MS, expect_study, settle
from tests.core.dicom.dicom_factory import write_ct_series
from tests.dashboard.made_predictions import write_predictions_place
from tests.dashboard.workplace import made_neck, write_bundles

pytestmark = pytest.mark.browser

STUDIES = 5
LEFT = "about:blank"


@pytest.fixture(scope="module")
def history_url(repo_root, artifacts, tmp_path_factory):
    """A server with five studies, two networks that guess, and two runs."""
    root = tmp_path_factory.mktemp("history")
    demo = root / "var" / "demo"
    atomic_files.write_json(demo / "phantom.json", {"synthetic": True, "warning": "made"})
    rows = ["StudyInstanceUID,patient_overall,C1,C2,C3,C4,C5,C6,C7"]
    for seed in range(STUDIES):
        uid = f"1.2.826.0.1.{seed + 1}"
        folder = demo / "train_images" / uid
        write_ct_series(
            folder, made_neck(seed), spacing_mm=(3.0, 0.8, 0.8), study_uid=uid, intercept=-1024.0
        )
        rows.append(f"{uid}," + ("1,0,0,0,0,1,0,0" if seed == 0 else "0,0,0,0,0,0,0,0"))
    atomic_files.write_text(demo / "train.csv", "\n".join(rows) + "\n")
    write_bundles(root / "checkpoints")
    for name in ("first-run", "second-run"):
        run = RunFolder(root / "var" / "runs" / name)
        run.start(RunConfig(task="fracture", data_root=demo), resume=False)
        run.write_status("finished", step=40, total_steps=40)
    environment = {
        "CSPINE_VAR": str(root / "var"),
        "RSNA_CACHE": str(root / "var" / "cache"),
        "CHECKPOINTS": str(root / "checkpoints"),
    }
    with serve(repo_root, environment, artifacts / "history_server.log") as url:
        yield url


@pytest.fixture
def tab(browser):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(90_000)
    page = context.new_page()
    page.goto(LEFT)
    yield page
    assert page.get_by_test_id("stException").count() == 0
    context.close()


def at_study(page, number):
    expect_study(page, number, timeout=FIRST_TIME_MS)
    settle(page)


def scored(page):
    expect(page.locator(".lab-call")).to_be_visible(timeout=FIRST_TIME_MS)
    settle(page)


def back(page):
    page.go_back()
    assert page.url != LEFT, "the step back left the dashboard"
    settle(page)


def leaves(page):
    """The next step back leaves the dashboard."""
    page.go_back()
    expect(page).to_have_url(LEFT)


def test_next_three_times_and_back_three_times_is_the_first_study(tab, history_url):
    tab.goto(f"{history_url}/diagnosis")
    at_study(tab, 1)
    for number in (2, 3, 4):
        tab.get_by_role("button", name="Next", exact=True).click()
        at_study(tab, number)
    for number in (3, 2, 1):
        back(tab)
        at_study(tab, number)
        assert f"study=1.2.826.0.1.{number}&" in f"{tab.url}&"
    tab.go_forward()
    at_study(tab, 2)
    back(tab)
    at_study(tab, 1)
    leaves(tab)


def test_one_back_leaves_a_page_that_was_just_opened(tab, history_url):
    tab.goto(f"{history_url}/diagnosis")
    scored(tab)
    assert "patient_threshold" in tab.url
    leaves(tab)
    tab.goto(history_url)
    expect(tab.get_by_role("heading", name="Is the cervical spine fractured")).to_be_visible(
        timeout=FIRST_TIME_MS
    )
    settle(tab)
    leaves(tab)


def test_steps_of_a_slider_are_one_entry_and_a_switch_is_another(tab, history_url):
    tab.goto(f"{history_url}/diagnosis")
    scored(tab)
    slider = tab.get_by_role("slider", name="Patient threshold")
    start = slider.input_value()
    slider.focus()
    for _ in range(10):
        tab.keyboard.press("ArrowLeft")
        tab.wait_for_timeout(50)
    expect(tab).to_have_url(re.compile(r"patient_threshold=0\.59(&|$)"))
    settle(tab)
    tab.get_by_text("Show the truth").click()
    expect(tab).to_have_url(re.compile("truth=1"))
    settle(tab)
    back(tab)
    expect(tab).not_to_have_url(re.compile("truth=1"))
    expect(tab.get_by_role("switch", name="Show the truth")).not_to_be_checked()
    assert slider.input_value() == "0.59"
    back(tab)
    expect(slider).to_have_value(start)
    leaves(tab)


def test_the_pages_that_were_open_come_back_with_their_choices(tab, history_url):
    tab.goto(f"{history_url}/preprocessing")
    expect(tab.locator(".st-key-preview img").first).to_be_visible(timeout=FIRST_TIME_MS)
    settle(tab)
    tab.locator(".st-key-study input").click()
    tab.get_by_role("option", name="Study 3").click()
    expect(tab).to_have_url(re.compile(r"study=1\.2\.826\.0\.1\.3"))
    settle(tab)
    tab.get_by_role("link", name="Overview").first.click()
    expect(tab).to_have_url(re.compile("/overview"))
    settle(tab)
    back(tab)
    chosen = tab.locator(".st-key-study")
    expect(chosen.locator("input")).to_have_value(re.compile("Study 3"))
    back(tab)
    expect(chosen.locator("input")).to_have_value(re.compile("Study 1"))
    leaves(tab)


def test_a_filter_of_the_data_set_is_taken_back(tab, history_url):
    tab.goto(f"{history_url}/dataset")
    expect(tab.locator(".js-plotly-plot")).to_have_count(8, timeout=FIRST_TIME_MS)
    settle(tab)
    bars = tab.locator(".js-plotly-plot").nth(0).locator(".barlayer .trace.bars").nth(1)
    bars.locator(".point path").nth(4).click(force=True)
    chip = tab.get_by_role("button", name="C5 fractured")
    expect(chip).to_be_visible()
    settle(tab)
    back(tab)
    expect(chip).to_have_count(0)
    expect(tab.get_by_role("button", name=f"Download {STUDIES} rows")).to_be_visible()
    tab.go_forward()
    expect(chip).to_be_visible()
    back(tab)
    leaves(tab)


def test_the_run_shown_before_comes_back(tab, history_url):
    tab.goto(f"{history_url}/training?run=first-run")
    title = tab.locator(".st-key-run_detail")
    expect(title).to_contain_text("first-run", timeout=FIRST_TIME_MS)
    settle(tab)
    shown = [_run_of(tab)]
    for row in (0, 1, 0, 1):
        _click_row(tab, row)
        if _run_of(tab) != shown[-1]:
            shown.append(_run_of(tab))
        if len(shown) == 3:
            break
    assert len(shown) > 1, "no click reached a row"
    for before in reversed(shown[:-1]):
        back(tab)
        assert _run_of(tab) == before
        expect(title).to_contain_text(before)
    leaves(tab)


def _run_of(tab):
    return re.search("run=([a-z]+-run)", tab.url)[1]


def _click_row(tab, row):
    listed = tab.get_by_test_id("stDataFrame").first
    listed.scroll_into_view_if_needed()
    table = listed.bounding_box()
    # The table is drawn on a canvas below the area that scrolls it.
    tab.mouse.click(table["x"] + 60, table["y"] + 38 + 35 * row + 15)
    tab.wait_for_timeout(500)
    settle(tab)


def test_the_level_of_evaluation_is_taken_back(tab, repo_root, artifacts, tmp_path):
    write_predictions_place(tmp_path / "checkpoints", studies=30, slices=2_500, models=2)
    environment = {
        "CSPINE_VAR": str(tmp_path / "var"),
        "RSNA_CACHE": str(tmp_path / "var" / "cache"),
        "CHECKPOINTS": str(tmp_path / "checkpoints"),
    }
    with serve(repo_root, environment, artifacts / "history_evaluation.log") as url:
        tab.goto(f"{url}/evaluation")
        expect(tab.locator(".st-key-ev_csv_out")).to_be_visible(timeout=FIRST_TIME_MS)
        settle(tab)
        level = tab.locator(".st-key-ev_level")
        for name in ("Vertebra", "Slice"):
            level.get_by_text(name, exact=True).click()
            expect(tab).to_have_url(re.compile(f"level={name.lower()}"))
            settle(tab)
        back(tab)
        expect(tab).to_have_url(re.compile("level=vertebra"))
        pressed = level.locator('[aria-checked="true"], [aria-pressed="true"]')
        expect(pressed).to_have_text("Vertebra")
        back(tab)
        expect(tab).not_to_have_url(re.compile("level="))
        expect(pressed).to_have_text("Patient")
        leaves(tab)


def test_the_vertebra_chosen_in_3d_and_the_fusion_of_boxes_are_taken_back(webgl, scene_url):
    page, _ = open_scene(webgl, scene_url)
    tags = root_of(page).locator(".lab3d-tag")
    for name in ("C3", "C6"):
        tags.filter(has_text=name).dispatch_event("click")
        expect(page).to_have_url(re.compile(f"vertebra={name}"))
        at_rest(page)
    back(page)
    expect(page).to_have_url(re.compile("vertebra=C3"))
    expect(root_of(page).locator(".lab3d-chosen")).to_have_text("C3")
    expect(page.locator(".st-key-scene_chosen")).to_contain_text("C3 ·")
    page.get_by_role("link", name="Localization").first.click()
    controls = page.locator(".st-key-loc_controls button")
    expect(controls.first).to_be_visible(timeout=FIRST_TIME_MS)
    page.locator(".st-key-boxes_cancel button").click()
    expect(page.locator(".st-key-boxes_resume")).to_be_visible(timeout=FIRST_TIME_MS)
    settle(page)
    controls.first.click()
    page.locator(".st-key-loc_method").get_by_text("NMS", exact=True).click()
    expect(page).to_have_url(re.compile("fusion=nms"))
    expect(controls.first).to_contain_text("NMS")
    settle(page)
    back(page)
    expect(controls.first).to_contain_text("Weighted fusion")
    back(page)
    expect(page).to_have_url(re.compile("/spine_3d.*vertebra=C3"))
    page.context.close()
