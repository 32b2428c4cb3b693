"""The report counts what the index flags, and shows nothing but that."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from core.constants import SYNTHETIC_WARNING
from core.dataset.quality import FLAGS
from core.dataset.quality_report import render_html, render_text, summarise, write_html
from core.dataset.rsna import BOXES_FILE, read_data_set
from core.dataset.slice_table import check_boxes
from tests.core.dataset.made_root import add_study, index_here, write_labels

NASTY = "1.9 & <script>alert('x')<"


class Page(HTMLParser):
    """Collects a page's tags, the addresses it would load, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loaded += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """Five studies: one reversed, two with a hole, one with a name that is half a script."""
    root = tmp_path_factory.mktemp("report") / "root"
    add_study(root, "1.1", z_mm=range(0, 75, 3))
    for study, uid in (("1.2", "1.2"), (NASTY, "")):
        # Without a UID in the files, the folder's name is the study's.
        add_study(root, study, edit=lambda ds, _, uid=uid: setattr(ds, "StudyInstanceUID", uid))[
            5
        ].unlink()
    add_study(root, "1.3", slices=21)
    path = add_study(root, "1.4", slices=21)[20]
    path.write_bytes(path.read_bytes()[:-1])
    write_labels(root, {"1.1": (0,) * 7, "1.2": (1, 0, 0, 0, 0, 0, 1), "1.3": (0,) * 6 + (1,)})
    return index_here(root)


def test_the_summary_counts_flags_and_labels(index):
    report = summarise(index)
    found = {item.flag.column: item.studies for item in report.flags if item.studies}
    assert found == {
        "flag_reversed_numbering": ("1.1",),
        "flag_gap": ("1.2", NASTY),
        "flag_missing_files": ("1.2", NASTY),
        "flag_unreadable_file": ("1.4",),
    }
    assert [item.flag for item in report.flags] == list(FLAGS)
    assert report.clean == 1
    assert dict((name, (hits, total)) for name, hits, total in report.prevalence) == {
        "patient_overall": (2, 3), "C1": (1, 3), "C2": (0, 3), "C3": (0, 3), "C4": (0, 3),
        "C5": (0, 3), "C6": (0, 3), "C7": (2, 3),
    }  # fmt: skip
    assert report.errors[0][0] == "1.4"


def test_the_facts_contain_sizes_spacing_and_syntaxes(index):
    facts = dict(summarise(index).facts)
    assert facts["Studies"] == "5"
    assert facts["Slices"] == "115"
    assert facts["Slices per study"] == "21 to 25, median 24"
    assert facts["Slice distance"] == "3.00 mm"
    assert facts["Sizes in pixels"] == "4 × 4: 5"
    assert facts["Transfer syntaxes"] == "Explicit VR Little Endian: 115"
    assert facts["Labelled"] == "3 of 5 studies"


def test_the_text_names_flags_studies_and_what_is_absent(index):
    text = render_text(index)
    assert re.search(r"^1 +Reversed numbering +1\.1$", text, re.MULTILINE)
    assert re.search(r"^2 +Gap +1\.2, ", text, re.MULTILINE)
    assert "No study has: duplicate positions, uneven spacing" in text
    assert "C7" in text
    assert "2 of 3 (66.7%)" in text
    assert "truncated" in text
    assert not text.endswith("\n")


def test_a_long_list_of_studies_is_cut_in_the_text_but_not_on_the_page(tmp_path):
    root = tmp_path / "root"
    for k in range(6):
        add_study(root, f"1.{k}", slices=2)
    index = index_here(root)
    assert "1.0, 1.1, 1.2, and 3 more" in render_text(index)
    assert "1.5" in Page(render_html(index)).text


def test_the_page_shows_all_flags_with_their_meaning_and_loads_nothing(index, tmp_path):
    write_html(index, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    for flag in FLAGS:
        assert flag.title in page.text
        assert flag.meaning in page.text
    assert page.loaded == []
    assert "http" not in page.text
    assert "3 of 3" not in page.text
    assert "2 of 3 (66.7%)" in page.text


def test_names_are_escaped(index):
    content = render_html(index)
    page = Page(content)
    assert "script" not in page.tags
    assert NASTY in page.text
    assert "<script" not in content


def test_wrong_boxes_are_in_both_reports(tmp_path):
    root = tmp_path / "root"
    add_study(root, "1.1", edge=(8, 10))
    rows = ["1.1,1,1,4,4,3", "1.1,8,1,4,4,3", "1.1,1,6,2,4,3", "1.1,1,1,0,4,3", "1.1,1,1,2,-1,3",
            "1.1,1,1,4,4,99", "1.1,-1,1,4,4,3", "1.1,1,1,4,4,2"]  # fmt: skip
    heading = "StudyInstanceUID,x,y,width,height,slice_number"
    (root / BOXES_FILE).write_text("\n".join([heading, *rows]) + "\n")
    index = index_here(root)
    data_set = check_boxes(read_data_set(root), index.slices)
    assert data_set.boxes["line"].tolist() == [2, 9]
    wrong = {
        3: "x + width lies past the image's right edge",
        4: "y + height lies past the image's lower edge",
        5: "width and height must be above 0", 6: "width and height must be above 0",
        7: "its study has no slice of that number", 8: "x is below 0, outside the image",
    }  # fmt: skip
    page = Page(render_html(index, data_set.problems)).text
    for line, problem in wrong.items():
        assert f"{BOXES_FILE}, line {line}: {problem}; " in page
    text = render_text(index, data_set.problems)
    assert "Wrong rows in the tables (6):\ntrain_bounding_boxes.csv, line 5: width" in text
    assert text.endswith("and 1 more wrong rows")
    assert "Wrong rows" not in render_text(index) + Page(render_html(index)).text


def test_both_reports_mark_synthetic_data(tmp_path):
    root = tmp_path / "root"
    add_study(root, "1.1")
    plain = index_here(root)
    assert SYNTHETIC_WARNING not in render_text(plain) + render_html(plain)
    (root / "phantom.json").write_text("{}")
    index = index_here(root)
    assert SYNTHETIC_WARNING in render_text(index)
    assert SYNTHETIC_WARNING in Page(render_html(index)).text


def test_no_patient_text_is_shown(tmp_path):
    root = tmp_path / "root"
    add_study(root, "1.1", edit=lambda ds, _: setattr(ds, "PatientName", "Doe^Jane"))
    index = index_here(root)
    assert "Doe" not in render_text(index) + render_html(index)
    assert "Made" not in index.slices.to_csv() + index.studies.to_csv()


def test_a_data_set_of_only_damaged_studies_still_has_a_report(tmp_path):
    root = tmp_path / "root"
    (root / "train_images" / "1.1").mkdir(parents=True)
    index = index_here(root)
    assert "holds no files" in render_text(index)
    assert "unknown" in render_html(index)
