"""Which suites of other projects are run, at which versions, and with what they need. Values only."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Suite:
    """A project's own test suite, from its sdist on PyPI.

    `version` None: the one that this project's own requirements resolve to. `tests` is the path inside the sdist,
    `keep` what of the sdist is unpacked (the rest, its packages above all, must come from the environment).
    `left_out` are files that cannot run here and why; `limit` is in seconds, for the whole suite.
    """

    name: str
    version: str | None
    tests: str
    keep: tuple[str, ...]
    requires: tuple[str, ...]
    limit: int
    left_out: tuple[tuple[str, str], ...] = ()


_CLOUD = "needs a cloud provider's library"

SUITES = (
    Suite(
        name="ipykernel",
        version=None,
        tests="tests",
        keep=("tests", "pyproject.toml"),
        requires=("pytest-asyncio", "pytest-cov", "flaky", "psutil", "ipyparallel", "matplotlib", "trio"),
        limit=2400,
    ),
    Suite(
        name="nbclient",
        version=None,
        tests="tests",
        keep=("tests", "pyproject.toml"),
        requires=("pytest-asyncio", "flaky", "ipywidgets", "nbconvert", "testpath", "xmltodict"),
        limit=2400,
    ),
    Suite(
        name="papermill",
        version="2.7.0",
        tests="papermill/tests",
        keep=("papermill", "pyproject.toml"),  # its tests are a part of its package
        requires=("papermill==2.7.0", "ipywidgets", "pytest-env", "pytest-mock", "attrs"),
        limit=1800,
        left_out=(
            ("test_abs.py", _CLOUD),
            ("test_adl.py", _CLOUD),
            ("test_gcs.py", _CLOUD),
            ("test_hdfs.py", _CLOUD),
            ("test_s3.py", _CLOUD),
        ),
    ),
)
