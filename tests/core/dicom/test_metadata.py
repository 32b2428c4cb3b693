import pydicom
import pytest

from core.dicom.metadata import read_metadata
from core.errors import DicomSeriesError
from tests.core.dataset.made_root import add_study

SECRETS = {
    "PatientName": "Secret^Name",
    "PatientID": "secret-id",
    "PatientBirthDate": "19700101",
    "StudyDate": "20200101",
    "StudyDescription": "secret words",
    "SeriesDescription": "secret words too",
    "InstitutionName": "Secret Hospital",
    "ReferringPhysicianName": "Secret^Doctor",
    "ImageComments": "Secret says hello",
    "ProtocolName": "secret protocol",
    "DeviceSerialNumber": "secret-serial",
}


@pytest.fixture
def file(tmp_path):
    path = add_study(tmp_path, "1.1", slices=2)[0]
    with pydicom.dcmread(path) as found:
        for keyword, value in SECRETS.items():
            setattr(found, keyword, value)
        found.KVP = 120
        found.ConvolutionKernel = "B70s"
        block = found.private_block(0x0011, "secret maker", create=True)
        block.add_new(1, "LO", "secret private")
        found.save_as(path)
    return path


def shown(metadata):
    return {e.name: e.value for elements in metadata.groups.values() for e in elements}


def test_technical_elements_are_shown_by_their_dictionary_names(file):
    metadata = read_metadata(file)
    values = shown(metadata)
    assert values["KVP"] == "120"
    assert values["Convolution Kernel"] == "B70s"
    assert values["Rows"] == "4"
    assert values["Pixel Spacing"] == "0.5 \\ 0.5"
    assert values["Modality"] == "CT"
    assert metadata.transfer_syntax == "Explicit VR Little Endian"
    tags = [e.tag for elements in metadata.groups.values() for e in elements]
    assert "0018,0060" in tags


def test_nothing_that_may_name_a_person_is_given_away(file):
    metadata = read_metadata(file)
    assert "secret" not in repr(metadata).lower()
    assert {"Patient's Name", "Patient ID", "Study Date", "Image Comments"} <= set(metadata.hidden)
    assert metadata.private == 2


def test_text_behind_a_shown_element_stays_hidden(file):
    with pydicom.dcmread(file) as found:
        found.add_new("KVP", "LT", "Secret^Name")
        found.save_as(file)
    assert shown(read_metadata(file))["KVP"] == "not shown"


def test_long_values_are_cut_and_empty_ones_said(file):
    with pydicom.dcmread(file) as found:
        found.ImageType = ["ORIGINAL", *(["PRIMARY"] * 20)]
        found.Exposure = None
        found.save_as(file)
    values = shown(read_metadata(file))
    assert len(values["Image Type"]) == 64
    assert values["Exposure"] == "empty"


def test_what_is_no_dicom_is_said(tmp_path):
    path = tmp_path / "notes.dcm"
    with pytest.raises(DicomSeriesError, match=r"notes\.dcm: cannot be opened"):
        read_metadata(path)
    path.write_text("nothing of the kind")
    with pytest.raises(DicomSeriesError, match=r"notes\.dcm: is no DICOM file"):
        read_metadata(path)


@pytest.mark.parametrize("kept", [0, 100, 131])
def test_a_header_that_is_cut_off_is_said(file, kept):
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(DicomSeriesError, match=r"broken|no DICOM"):
        read_metadata(file)
