"""The release of MicroPython that the results are of."""

import pytest

from sluice.toolchain import DEFAULT


@pytest.fixture(scope="session")
def measured(release):
    """Results are of one release: on another the numbers are others."""
    if release != DEFAULT:
        pytest.skip(f"the results are of MicroPython {DEFAULT}")
