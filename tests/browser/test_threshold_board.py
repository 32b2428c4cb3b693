"""The threshold board: its numbers are core's, and it moves the page without the server."""

from __future__ import annotations

import base64
import csv
import json
import re
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from core.constants import VERTEBRAE
from core.evaluation.confusion import ConfusionCounts
from core.evaluation.tables.score_files import read_score_table, read_truth_table
from dashboard.evaluation.board import counts as board
from dashboard.evaluation.board.counts import board_counts
from dashboard.evaluation.results import Evaluated, ModelAtLevel, Question
from dashboard.evaluation.threshold_counts import live_figures, what_if
from dashboard.widgets.threshold_slider.slider import STEPS, script
from tests.browser.server import serve
from tests.browser.waiting import FIRST_TIME_MS, settle
from tests.core.evaluation import made_cohort
from tests.dashboard.made_predictions import NAMES, write_predictions_place

pytestmark = pytest.mark.browser

FIGURES = (Path(board.__file__).parent / "frontend" / "figures.js").read_text()
COUNTED = ("true_positives", "false_positives", "true_negatives", "false_negatives")
FIELDS = ("recall", "specificity", "precision", "f1", "accuracy", "balanced_accuracy", "mcc")


@pytest.fixture(scope="module")
def page(browser):
    """A page with the board's arithmetic and nothing else."""
    page = browser.new_page()
    names = "{ Counts, Tables, fixed, sentence }"
    parts = (script("moved.js"), FIGURES, f"Object.assign(globalThis, {names});")
    page.add_script_tag(content="\n".join(parts))
    yield page
    page.close()


@pytest.fixture(scope="module")
def evaluated():
    return Evaluated("board", made_cohort.cohort(n=40), 40)


@pytest.mark.parametrize("n_thresholds", [1, 7])
@pytest.mark.parametrize("level", ["patient", "vertebra", "slice", "presence"])
def test_counts_equal_those_of_core_at_random_positions(page, evaluated, level, n_thresholds):
    model = ModelAtLevel(evaluated, "a", Question(level))
    rng = np.random.default_rng(len(level) + n_thresholds)
    positions = rng.integers(0, STEPS + 1, (64, n_thresholds)) / STEPS
    found = page.evaluate(
        """([text, steps, positions]) => {
          const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
          const tables = new Tables(bytes, { steps });
          const four = (one) => [one.tp, one.fp, one.tn, one.fn];
          return positions.map((at) => {
            const { all, each } = tables.figures(at);
            for (const name of Object.keys(each)) each[name] = four(each[name]);
            return [four(all), each];
          });
        }""",
        [
            base64.b64encode(board_counts(model, n_thresholds).to_bytes()).decode(),
            STEPS,
            positions.tolist(),
        ],
    )
    for at, (pooled, each) in zip(positions, found, strict=True):
        expected = live_figures(model, tuple(at.tolist()))
        assert ConfusionCounts(*pooled) == expected.counts
        assert {name: ConfusionCounts(*one) for name, one in each.items()} == expected.per_vertebra


def test_every_figure_has_the_same_last_digit_and_text(page):
    rng = np.random.default_rng(5)
    sizes = np.concatenate([rng.integers(0, 4, (150, 4)), rng.integers(0, 400_000, (350, 4))])
    cases = [ConfusionCounts(*map(int, row)) for row in sizes]
    at, prevalence = (rng.integers(0, STEPS, len(cases)) / STEPS).tolist(), 0.037
    found = page.evaluate(
        """([cases, at, prevalence, fields, words]) => cases.map(([tp, fp, tn, fn], k) => {
          const one = new Counts(tp, fp, tp + fn, tn + fp);
          const figures = [...fields.map((f) => one[f]), ...one.predictive(prevalence),
            ...one.predictive(null), one.netBenefit(at[k])];
          return [figures, figures.map((f) => fixed(f, 3)), sentence(one, words)];
        })""",
        [
            [list(astuple(counts)) for counts in cases],
            at, prevalence, FIELDS,
            {"positives": "fractured patients", "negatives": "healthy ones", "missed": "missed",
             "called": "called fractured"},
        ],
    )  # fmt: skip
    for counts, threshold, (figures, texts, sentence) in zip(cases, at, found, strict=True):
        expected = [
            *(getattr(counts, field) for field in FIELDS),
            counts.ppv_at(prevalence), counts.npv_at(prevalence),
            counts.precision, counts.negative_predictive_value, counts.net_benefit_at(threshold),
        ]  # fmt: skip
        assert figures == expected
        assert texts == [f"{value:.3f}" for value in expected]
        assert sentence == what_if("patient", counts)


def test_decimals_are_rounded_as_python_rounds_them(page):
    values = [k / 64 for k in range(-64, 65)] + [0.0005, 0.0015, 0.9995, 2 / 3, 12.3125]
    found = page.evaluate("values => values.map(v => [fixed(v, 3), fixed(v, 1)])", values)
    assert found == [[f"{value:.3f}", f"{value:.1f}"] for value in values]


@pytest.fixture(scope="module")
def place(repo_root, artifacts, tmp_path_factory):
    """URL of a server, and the folder of its bundles."""
    root = tmp_path_factory.mktemp("board")
    write_predictions_place(root / "checkpoints", studies=30, slices=2_500, models=2)
    environment = {
        "CSPINE_VAR": str(root / "var"),
        "RSNA_CACHE": str(root / "var" / "cache"),
        "CHECKPOINTS": str(root / "checkpoints"),
    }
    with serve(repo_root, environment, artifacts / "board_server.log") as url:
        yield url, root / "checkpoints"


def opened(browser, url: str, query: str = ""):
    page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    page.goto(f"{url}/evaluation?{query}")
    expect(page.locator(".board[data-whole=yes]")).to_be_visible(timeout=FIRST_TIME_MS)
    expect(page.locator(".st-key-ev_csv_out")).to_be_visible(timeout=FIRST_TIME_MS)
    settle(page)
    return page


def test_a_drag_moves_the_page_without_the_server_and_its_end_moves_the_link(browser, place):
    url, checkpoints = place
    scores = read_score_table(checkpoints / NAMES[0] / "predictions" / "held_out.parquet")
    fractured = read_truth_table(checkpoints / "cohorts" / "held_out.parquet").fractured
    truth = fractured.any(axis=1)
    sent: list[str] = []
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.on("request", lambda request: sent.append(request.url))
    page.on("websocket", lambda socket: socket.on("framesent", lambda _: sent.append("frame")))
    page.goto(f"{url}/evaluation?focus=bundle.{NAMES[0]}")
    expect(page.locator(".board[data-whole=yes]")).to_be_visible(timeout=FIRST_TIME_MS)
    expect(page.locator(".st-key-ev_csv_out")).to_be_visible(timeout=FIRST_TIME_MS)
    settle(page)
    slider = page.get_by_role("slider").first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.wait_for_timeout(100)
    sent.clear()
    seen: set[str] = set()
    threshold, line = 0.0, ""
    for share in np.linspace(0.2, 0.7, 12):
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
        page.wait_for_timeout(60)
        threshold = float(slider.input_value())
        called = scores.patient_scores >= threshold
        counts = ConfusionCounts(
            int((truth & called).sum()), int((~truth & called).sum()),
            int((~truth & ~called).sum()), int((truth & ~called).sum()),
        )  # fmt: skip
        line = page.locator(".lab-focus").inner_text()
        assert f"at {threshold:.3f}:" in line
        assert what_if("patient", counts) in line
        assert page.locator('[data-live="m:f1"]').inner_text() == f"{counts.f1:.3f}"
        with_c3 = int((fractured[:, VERTEBRAE.index("C3")] & called).sum())
        assert page.locator('[data-live="v:C3:found"]').inner_text() == f"{with_c3}"
        assert page.locator('[data-live="c:tp"] b').inner_text() == f"{counts.true_positives}"
        mark = page.locator('[data-live="roc"]').get_attribute("style")
        assert float(re.search(r"bottom: ?([\d.]+)%", mark)[1]) == pytest.approx(
            100 * counts.recall, abs=0.01
        )
        spoken = slider.get_attribute("aria-valuetext")
        assert spoken == f"at {threshold:.3f}: {what_if('patient', counts)}."
        seen.add(line)
    assert len(seen) > 3
    assert sent == []
    assert "moved=" not in page.url
    page.mouse.up()
    expect(page).to_have_url(re.compile(rf"moved=.*(\*|%2A){threshold:g}(&|$)"))
    settle(page)
    assert page.locator(".lab-focus").inner_text() == line
    page.get_by_role("button", name="Back to the rule").click()
    expect(page.locator(".lab-focus")).not_to_have_text(line)
    expect(slider).not_to_have_value(f"{threshold:g}")
    context.close()


def test_seven_sliders_move_their_own_vertebra(browser, place):
    page = opened(browser, place[0], "level=vertebra&by_vertebra=1")
    before = {
        name: page.locator(f'[data-live="v:{name}:threshold"]').inner_text() for name in VERTEBRAE
    }
    slider = page.get_by_label("C3", exact=True)
    slider.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(page.locator('[data-live="v:C3:threshold"]')).to_have_text("0.001")
    expect(page).to_have_url(re.compile(r"moved="))
    settle(page)
    after = {
        name: page.locator(f'[data-live="v:{name}:threshold"]').inner_text() for name in VERTEBRAE
    }
    assert after == before | {"C3": "0.001"}
    page.context.close()


def test_exports_have_the_thresholds_of_the_board_its_rule_and_active_model(browser, place):
    url, checkpoints = place
    page = opened(browser, url, f"focus=bundle.{NAMES[1]}&rule=youden")
    slider = page.get_by_role("slider").first
    slider.focus()
    page.keyboard.press("PageUp")
    expect(page).to_have_url(re.compile("moved="))
    settle(page)
    at = float(slider.input_value())

    def downloaded(name: str) -> str:
        with page.expect_download() as waited:
            page.get_by_role("button", name=name, exact=True).click()
        return Path(waited.value.path()).read_text()

    rows = [row for row in csv.DictReader(downloaded("CSV").splitlines()) if row["part"] == "all"]
    other, active = rows
    assert (active["model"], float(active["threshold"])) == (NAMES[1], at)
    assert (active["rule"], active["active"]) == ("set by hand", "yes")
    assert (other["rule"], other["active"]) == ("highest Youden index", "no")
    found = json.loads(downloaded("JSON"))
    assert found["active_model"] == NAMES[1]
    assert found["view"]["rule"] == "youden"
    assert "Chosen on Training cohort" in found["thresholds_from"]
    model = found["models"][NAMES[1]]
    assert (model["thresholds"], model["applied"]) == ([at], "set by hand")
    scores = read_score_table(checkpoints / NAMES[1] / "predictions" / "held_out.parquet")
    truth = read_truth_table(checkpoints / "cohorts" / "held_out.parquet").fractured.any(axis=1)
    called = scores.patient_scores >= at
    assert model["at_threshold"]["true_positives"] == int((truth & called).sum())
    assert int(active["false_positives"]) == int((~truth & called).sum())
    report = downloaded("HTML report")
    assert f"<b>{NAMES[1]}</b> (active model) at {at:.3f} (set by hand): " in report
    assert what_if("patient", ConfusionCounts(*(int(active[f]) for f in COUNTED))) in report
    assert "Chosen on Training cohort" in report
    page.context.close()


def test_a_typed_threshold_between_two_positions_is_counted_by_the_server(browser, place):
    page = opened(browser, place[0])
    typed = page.get_by_label("typed")
    typed.fill("0.12345")
    typed.press("Enter")
    expect(page).to_have_url(re.compile(r"moved=.*0\.12345"))
    expect(page.locator(".lab-focus")).to_contain_text("at 0.123:")
    typed.fill("7")
    typed.press("Enter")
    page.keyboard.press("Tab")
    expect(typed).to_have_value("0.123")
    page.context.close()
