"""What objects may refer to, and what they carry over."""

from __future__ import annotations

import logging

import numpy as np
import pydicom
import pytest

from core.dicom.series import read_series
from core.errors import CSpineError, DicomSeriesError
from core.report.objects.documents import encapsulated_pdf
from core.report.objects.segmentation import segmentation
from core.report.objects.source import read_source
from tests.core.report.objects.conftest import made_labels


def drop_uid(ds, k):
    del ds.SOPInstanceUID
    ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3"


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (drop_uid, "SOPInstanceUID"),
        (lambda ds, k: setattr(ds, "SOPInstanceUID", "1.2.3"), "the same SOPInstanceUID"),
        (lambda ds, k: setattr(ds, "Modality", "MR"), "CT"),
    ],
    ids=["no uid", "one uid", "another modality"],
)
def test_what_cannot_be_referred_to_is_refused_in_one_sentence(write_series, edit, told):
    def export():
        made = write_series(edit=edit)
        read_source(made.folder, made.volume)

    with pytest.raises(CSpineError, match=told) as caught:
        export()
    assert str(caught.value).endswith(".")
    assert "Made" not in str(caught.value)


def test_files_of_another_series_are_noticed(write_series):
    made, other = write_series(), write_series("oblique", instance_numbers=range(20, 34))
    with pytest.raises(DicomSeriesError, match="changed since it was read"):
        read_source(other.folder, made.volume)


def test_values_that_break_the_standard_are_left_out_and_never_logged(write_series, caplog):
    def edit(ds, k):
        ds.PatientName = "Müller^Ängelika"
        ds.SpecificCharacterSet = "ISO_IR 100"
        ds.PatientSex = "SECRET"
        ds.PatientID = "SECRET" * 20
        ds.add(pydicom.DataElement("PatientBirthDate", "DA", "SECRET", validation_mode=0))
        ds.StudyDate = "20250102"

    caplog.set_level(logging.DEBUG)
    with pytest.warns(
        UserWarning, match="value length"
    ):  # The writer of the test warns, not the product.
        made = write_series(edit=edit)
    source = read_source(made.folder, made.volume, synthetic=True)
    for found in (
        segmentation(source, made_labels(made.volume)),
        encapsulated_pdf(source, b"%PDF-1.4 x"),
    ):
        assert str(found.PatientName) == "Müller^Ängelika"
        assert found.SpecificCharacterSet == "ISO_IR 192"
        assert not found.PatientSex
        assert not found.PatientID
        assert not found.PatientBirthDate
        assert str(found.StudyDate) == "20250102"
    for private in ("SECRET", "Müller", "ller^"):
        assert private not in caplog.text


def test_a_series_without_a_frame_of_reference_gets_one_of_its_own(write_series):
    made = write_series()
    first, again = (read_source(made.folder, made.volume).first for _ in range(2))
    assert first.FrameOfReferenceUID.startswith("2.25.")
    assert first.FrameOfReferenceUID == again.FrameOfReferenceUID


def test_generated_files_are_known_by_what_they_say(write_series):
    made = write_series(edit=lambda ds, k: setattr(ds, "SyntheticData", "YES"))
    assert read_source(made.folder, made.volume).synthetic


def test_a_slice_is_found_on_its_file(write_series):
    made = write_series("turned")
    source = read_source(made.folder, made.volume)
    for index in (0, 5, made.volume.n_slices - 1):
        image = source.images[source.plane_of_slice(index)]
        path = made.volume.source_files[source.plane_of_slice(index)]
        assert pydicom.dcmread(path).SOPInstanceUID == image.SOPInstanceUID
        assert image.ImagePositionPatient[2] == pytest.approx(made.volume.z_mm[index])
    assert write_series("sagittal").volume.axes.keeps_slices is False
    sagittal = write_series("sagittal")
    assert read_source(sagittal.folder, sagittal.volume).plane_of_slice(0) is None
    assert np.array_equal(read_series(made.folder).hu, made.volume.hu)
