"""One cloud for all tests that leave it alone, and stages on it that clean up after themselves."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from spy import Spy
from stage import Cloud, Stage


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud that nobody ends; each test uses a thing of its own."""
    made = Cloud(tmp_path_factory.mktemp("cloud") / "state").start()
    yield made
    made.stop()


@pytest.fixture
def own_cloud(tmp_path: Path) -> Iterator[Cloud]:
    """A cloud of the test's own, not started yet."""
    made = Cloud(tmp_path / "state")
    yield made
    made.stop()


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Cloud]]:
    """A function: (rules of host_tools/cloud/faults.py) → the session's cloud that has them."""
    cloud = Cloud(tmp_path_factory.mktemp("faulty") / "state").start({})

    def made(**rules) -> Cloud:
        cloud.change(rules)
        return cloud

    yield made
    cloud.stop()


@pytest.fixture
def stage(tmp_path: Path, release: str) -> Iterator[Callable[..., Stage]]:
    """A function: (cloud, **config) → a Stage; its board is switched off at the end."""
    made: list[Stage] = []

    def make(cloud: Cloud, **config) -> Stage:
        made.append(cloud.stage(tmp_path, **config))
        return made[-1]

    yield make
    for one in made:
        print(f"the board of {one.name} at the end:\n{one.tail}")  # for who reads of a failure
        one.board.stop()
        one.board.flash.release()
        (one.board.home / "flash.bin").unlink(missing_ok=True)  # 4 MiB each


@pytest.fixture
def spy() -> Iterator[Callable[[Stage], Spy]]:
    """A function: (stage) → a Spy on it."""
    made: list[Spy] = []

    def make(stage: Stage) -> Spy:
        made.append(Spy(stage))
        return made[-1]

    yield make
    for one in made:
        one.close()
