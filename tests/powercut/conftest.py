"""A cloud for the boards whose power fails, and how many operations an update takes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Cloud
from sweep import ran


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """One cloud for all of them."""
    made = Cloud(tmp_path_factory.mktemp("powercut") / "state").start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def undisturbed(
    cloud: Cloud, tmp_path_factory: pytest.TempPathFactory, release: str
) -> dict[bool, int]:
    """Flash operations of an update whose power does not fail, by whether there was one before."""
    return {updated: operations(cloud, tmp_path_factory, updated) for updated in (False, True)}


def operations(cloud: Cloud, folders: pytest.TempPathFactory, updated: bool) -> int:
    """Of one update; it must be a good one."""
    folder: Path = folders.mktemp("undisturbed")
    with ran(cloud, folder, updated=updated) as run:
        assert run.verdict.status == "SUCCEEDED", run.scene.tail
        assert not run.was_cut
        return run.operations
