from __future__ import annotations

import re
import tomllib
from itertools import combinations, pairwise

import numpy as np
import pytest

from core.constants import VERTEBRAE
from core.visualization.colors import (
    DATA_COLORS,
    HEAT_STOPS,
    MEASURE_COLOR,
    POSITIVE_COLOR,
    PREDICTED_BOX_COLOR,
    SUSPICION,
    TRUE_BOX_COLOR,
    VERTEBRA_COLORS,
)
from dashboard.widgets.palette import (
    CURRENT,
    ENSEMBLE_STYLE,
    MODEL_COLORS,
    NEUTRAL,
    model_styles,
    with_alpha,
)

# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
LIGHT, DARK = "#FFFFFF", "#0B1621"
OF_MODELS = (*MODEL_COLORS, ENSEMBLE_STYLE.color)


def linear(color: str) -> np.ndarray:
    rgb = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Ottosson (2020)."""
    to_lms = np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                       [0.2119034982, 0.6806995451, 0.1073969566],
                       [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
    to_lab = np.array([[0.2104542553, 0.7936177850, -0.0040720468],
                       [1.9779984951, -2.4285922050, 0.4505937099],
                       [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip
    return to_lab @ np.cbrt(to_lms @ np.clip(rgb, 0, None))


def contrast(one: str, other: str) -> float:
    """WCAG 2."""
    a, b = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other))
    return (b + 0.05) / (a + 0.05)


@pytest.mark.parametrize("vision", VISIONS)
def test_neighbouring_vertebrae_are_distinguishable_for_every_kind_of_vision(vision):
    seen = [oklab(np.array(VISIONS[vision]) @ linear(VERTEBRA_COLORS[n])) for n in VERTEBRAE]
    assert min(np.linalg.norm(a - b) for a, b in pairwise(seen)) > 0.12


@pytest.mark.parametrize("background", [LIGHT, DARK])
@pytest.mark.parametrize("name", VERTEBRAE)
def test_every_vertebra_reads_on_both_themes(name, background):
    assert contrast(VERTEBRA_COLORS[name], background) >= 3


def test_no_data_wear_the_colour_of_suspicion():
    amber = oklab(linear(SUSPICION))
    data = [*VERTEBRA_COLORS.values(), *OF_MODELS, *DATA_COLORS.values(), *HEAT_STOPS,
            POSITIVE_COLOR, MEASURE_COLOR, CURRENT, NEUTRAL]  # fmt: skip
    assert min(np.linalg.norm(oklab(linear(c)) - amber) for c in data) > 0.12


def test_charts_of_the_theme_have_no_amber(repo_root):
    theme = tomllib.loads((repo_root / ".streamlit" / "config.toml").read_text())["theme"]
    colors = [c for kind in ("light", "dark") for c in theme[kind]["chartCategoricalColors"]]
    amber = oklab(linear(SUSPICION))
    assert min(np.linalg.norm(oklab(linear(c)) - amber) for c in colors) > 0.12


@pytest.mark.parametrize("vision", VISIONS)
def test_true_and_predicted_boxes_and_calls_are_distinguishable_for_every_vision(vision):
    colors = (TRUE_BOX_COLOR, PREDICTED_BOX_COLOR, SUSPICION)
    true, predicted, amber = (oklab(np.array(VISIONS[vision]) @ linear(c)) for c in colors)
    assert np.linalg.norm(true - predicted) > 0.12
    assert np.linalg.norm(predicted - amber) > 0.12


AMBER_ROOMS = {
    "core/visualization/colors.py", "core/visualization/export.py", "core/visualization/film.py",
    "dashboard/diagnosis/z_profile.py", "dashboard/overview/pipeline.py",
    "dashboard/overview/spine_mark.py", "dashboard/spine_3d/level_profile.py",
    "dashboard/widgets/slice_viewer/ribbon.py",
}  # fmt: skip
"""Where fracture probabilities and calls are drawn."""


def test_amber_and_the_colours_of_data_are_named_in_one_table(repo_root):
    table = {*VERTEBRA_COLORS.values(), *OF_MODELS, *DATA_COLORS.values(), *HEAT_STOPS,
             POSITIVE_COLOR, MEASURE_COLOR, CURRENT, SUSPICION}  # fmt: skip
    files = [path for root in ("core", "dashboard") for kind in ("py", "js", "html")
             for path in (repo_root / root).rglob(f"*.{kind}")]  # fmt: skip
    tables = {"core/visualization/colors.py", "dashboard/widgets/palette.py",
              "dashboard/evaluation/export.py"}  # fmt: skip
    for file in files:
        name = file.relative_to(repo_root).as_posix()
        text = file.read_text(encoding="utf-8")
        assert ("SUSPICION" in text and file.suffix == ".py") == (name in AMBER_ROOMS), name
        if name in tables or name.startswith("core/report/"):
            continue
        literals = {f"#{digits.upper()}" for digits in re.findall(r"#([0-9a-fA-F]{6})\b", text)}
        assert not literals & table, name


def test_alpha_keeps_the_colour():
    assert with_alpha("#D9820F", 0.5) == "rgba(217,130,15,0.5)"


@pytest.mark.parametrize("vision", VISIONS)
def test_models_are_distinguishable_for_every_kind_of_vision(vision):
    seen = [oklab(np.array(VISIONS[vision]) @ linear(color)) for color in OF_MODELS]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > 0.085


@pytest.mark.parametrize("background", [LIGHT, DARK])
@pytest.mark.parametrize("color", OF_MODELS)
def test_every_model_reads_on_both_themes(color, background):
    assert contrast(color, background) >= 3


def test_more_models_than_colours_still_look_different_and_an_added_one_changes_none():
    names = [f"model-{k}" for k in range(20)]
    styles = model_styles(names)
    assert len({(style.color, style.dash) for style in styles.values()}) == 20
    assert model_styles([*names, "another"]) == styles | {
        "another": model_styles([*names, "x"])["x"]
    }
