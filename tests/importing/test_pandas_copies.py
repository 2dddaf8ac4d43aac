"""How frames are copied: by what the pandas of the result does, as installed or as declared by the notebook."""

from importlib import metadata

import pytest
from reactive import prepared

from marimo_kernel_bridge.importing.pandas_version import copies_on_write

CELLS = ["import pandas as pd\ndf = pd.DataFrame({'a': [1]})", "df['b'] = 2", "df"]


@pytest.mark.parametrize(
    ("requirements", "expected"),
    [
        (["pandas==3.0.1"], True),
        (["pandas>=3"], True),
        (["pandas==2.2.3"], False),
        (["pandas<3"], False),
        (["numpy<3", "pandas~=1.5"], False),
        (["pandas==0.25.3"], False),
        (["pandas==0.25.*"], False),
        (["pandas>0.25.3,<1"], False),
        (["Pandas==1.5.3"], False),
        (["pandas[excel]==1.3.99"], False),
        (["pandas===2.1.7"], False),
        (["pandas==3.0.0rc1"], True),
        (["pandas>=7.8.9"], True),
        (["pandas>4.99.1"], True),
    ],
)
def test_a_declared_pandas_decides(requirements, expected, monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda _: "1.0" if expected else "3.1")
    assert copies_on_write(requirements) is expected


def test_the_installed_pandas_decides_where_none_is_declared(monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda _: "2.3.0")
    assert copies_on_write(["numpy", "pandas", "not a requirement"]) is False
    monkeypatch.setattr(metadata, "version", lambda _: "3.1.0")
    assert copies_on_write(["pandas>=1"]) is True


def test_without_any_pandas_frames_are_copied_whole(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert copies_on_write([]) is False


@pytest.mark.parametrize(
    ("pip", "copy"),
    [("%pip install pandas==2.2.3\n", "df.copy()"), ("%pip install pandas>=3\n", "df.copy(deep=False)")],
)
def test_a_frame_is_copied_as_its_pandas_does_it(pip, copy):
    codes = [cell.code for cell in prepared([pip, *CELLS]).cells]
    assert any(f"df_1 = {copy}\n" in code for code in codes)


def test_frames_of_other_packages_are_not_copied():
    codes = ["import polars as pl\ndf = load()", "df.columns = ['a']", "df.head()"]
    assert not any(".copy(" in cell.code for cell in prepared(codes).cells)
