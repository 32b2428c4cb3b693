import pytest

from scripts.results import BEGIN, END, documents, figure, with_figures


def test_readme_and_results_hold_the_figures_of_the_shipped_bundles():
    for path, text in documents().items():
        assert path.read_text() == text, "run python -m scripts.results"


def test_replaces_only_what_stands_between_the_markers():
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    made = with_figures(text, "new")
    assert made == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert with_figures(made, "new") == made
    with pytest.raises(ValueError, match="markers"):
        with_figures("nothing", "new")


def test_a_figure_without_interval_or_value():
    level = {"auc": 0.5, "f1": None, "recall": 0.25, "intervals": {"auc": [0.4, 0.6]}}
    assert figure(level) == "0.500 (0.400–0.600)"
    assert figure(level, "recall") == "0.250"
    assert figure(level, "f1") == figure(None) == "–"
