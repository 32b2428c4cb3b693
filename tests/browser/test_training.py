"""A run is planned, its settings are searched, and two runs are compared, as a user does it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from core.config import RunConfig
from core.system.atomic_files import write_text
from core.training.run_list import list_runs
from tests.browser.server import serve
from tests.browser.waiting import FIRST_TIME_MS, refusals, settle
from tests.core.training.made_data_root import write_data_root

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def place(repo_root, artifacts, tmp_path_factory):
    """A server, its folder of runs, and a preset of a network that is trained in seconds."""
    folder = tmp_path_factory.mktemp("training")
    root = write_data_root(folder / "root", studies=4, slices=7)
    var = folder / "var"
    tiny = RunConfig(
        task="fracture", data_root=root, backbone="shufflenet_v2_x2_0", size=32, batch_size=4,
        folds=2, device="cpu", loader_workers=0,
    )  # fmt: skip
    (var / "presets").mkdir(parents=True)
    write_text(var / "presets" / "tiny.yaml", tiny.model_dump_json())
    environment = {
        "CSPINE_VAR": str(var), "RSNA_CACHE": str(folder / "cache"), "RSNA_ROOT": str(root),
        "BROWSE_ROOTS": str(folder), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    with serve(repo_root, environment, artifacts / "training_server.log") as url:
        yield url, var / "runs"


def section(page, name):
    page.get_by_test_id("stButtonGroup").get_by_text(name, exact=True).click()
    settle(page)


def set_number(page, label, value):
    box = page.get_by_role("spinbutton", name=label, exact=True)
    box.fill(str(value))
    box.press("Enter")
    settle(page)


def test_a_sweep_of_three_trials_is_planned_run_and_compared(browser, place, artifacts):
    url, runs = place
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    refused = refusals(page)
    page.goto(f"{url}/training")
    start = page.get_by_test_id("stSelectbox").filter(has_text="Recipe or preset").locator("input")
    expect(start).to_be_visible(timeout=FIRST_TIME_MS)
    start.click()
    page.get_by_role("option", name="tiny").click()
    expect(page.get_by_role("spinbutton", name="Input size (px)")).to_have_value("32")
    set_number(page, "Epochs", 2)
    page.get_by_role("button", name="Try one batch").click()
    expect(page.get_by_text("One batch was read, trained and measured")).to_be_visible(
        timeout=FIRST_TIME_MS
    )
    page.screenshot(path=artifacts / "training_form.png", full_page=True)

    section(page, "Sweeps")
    set_number(page, "Trials", 3)
    page.get_by_role("button", name="Start the sweep").click()
    detail = page.locator(".st-key-sweep_detail")
    # While the page is drawn again, both states are there for a moment.
    expect(detail.locator(".lab-pill-live").first).to_have_text("searching")
    expect(detail.locator(".lab-pill-live")).to_have_count(0, timeout=FIRST_TIME_MS)
    expect(detail.locator(".lab-pill-quiet")).to_have_text("finished")
    expect(page.locator(".st-key-sweep_detail .js-plotly-plot").first).to_be_visible()
    settle(page)
    page.screenshot(path=artifacts / "training_sweep.png", full_page=True)
    trials = {run.run_id: run for run in list_runs(runs)}
    assert len(trials) == 3
    assert {run.state for run in trials.values()} == {"finished"}
    assert len({run.config.max_lr for run in trials.values()}) == 3

    page.get_by_role("button", name="Keep as a run").click()
    expect(page.get_by_text("was kept as a run")).to_be_visible()
    assert len(list_runs(runs)) == 4
    page.get_by_role("button", name="Open its run").click()
    detail = page.locator(".st-key-run_detail")
    expect(detail).to_contain_text("· trial ")
    expect(detail.get_by_role("button", name="Use in Diagnosis")).to_be_visible()

    section(page, "Compare")
    expect(page.get_by_text("Differing settings")).to_be_visible()
    page.get_by_role("button", name="Predict them").click()
    expect(page.get_by_text("2 studies. A difference is plain")).to_be_visible(
        timeout=FIRST_TIME_MS
    )
    page.screenshot(path=artifacts / "training_compare.png", full_page=True)
    assert page.get_by_test_id("stException").count() == 0
    assert refused == []
    page.close()
