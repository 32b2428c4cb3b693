import pandas as pd
import pytest

from core.errors import DataRootError, StorageError
from core.system.parquet import read_parquet, write_parquet


def read(file, columns=("a", "b")):
    return read_parquet(file, columns, DataRootError, "index the data set again")


def test_a_table_comes_back_as_it_was_written(tmp_path):
    file = tmp_path / "new" / "t.parquet"
    table = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [0.5, 0.25]}, index=[7, 9])

    write_parquet(file, table, compression="zstd", level=12)

    assert read(file).equals(table.reset_index(drop=True))
    assert [each.name for each in file.parent.iterdir()] == ["t.parquet"]


def test_what_is_wrong_is_named_with_the_remedy(tmp_path):
    file = tmp_path / "t.parquet"
    with pytest.raises(DataRootError, match=r"t\.parquet does not exist; index the data set again"):
        read(file)
    file.write_bytes(b"PAR1 but no more")
    with pytest.raises(DataRootError, match="cannot be read as Parquet; index the data set again"):
        read(file)
    write_parquet(file, pd.DataFrame({"a": [1]}))
    with pytest.raises(DataRootError, match="lacks the column b; index the data set again"):
        read(file)


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        write_parquet(tmp_path / "file" / "t.parquet", pd.DataFrame({"a": [1]}))
