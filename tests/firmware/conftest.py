"""Collects tests/firmware/test_*.py as tests that run on MicroPython, not on this Python.

Such a file is device code: plain functions called test_*, plain asserts. Each is run on the
32-bit and the 64-bit unix port, one process per file and port, with the compiled firmware and
this folder on its path. `HEAP = "80k"` at the top of a file sets its heap; `DIFFERS = True` has it
run on every release of MicroPython, see tests/releases.py.
"""

import ast
import itertools
import json
import os
import subprocess
from pathlib import Path

import made_bundles
import made_containers
import pytest
import releases
from patience import LONG_S

from sluice import toolchain
from sluice.compile import compile_tree, firmware_sources

ARCHES = ("i386", "amd64")
SETTINGS = ("HEAP", "DIFFERS")
RUNNER = Path(__file__).parent / "runner.py"


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector):
    """Take the place of pytest's own module collector, in this folder only."""
    return DeviceFile.from_parent(parent, path=module_path)


class DeviceFile(pytest.File):
    """One file of device tests."""

    def collect(self):
        tree = ast.parse(self.path.read_text())
        names = [
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        ]
        settings = {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in SETTINGS
        }
        self.heap = settings.get("HEAP", "400k")
        self.outcomes: dict[tuple[str, str], dict] = {}
        chosen = releases.wanted(self.config, settings.get("DIFFERS", False))
        for port in itertools.product(chosen, ARCHES):
            for name in names:
                yield self._item(name, port, len(chosen) > 1)

    def _item(self, name: str, port: tuple[str, str], several: bool) -> "DeviceTest":
        release, arch = port
        full = f"{name}[{arch}-{release}]" if several else f"{name}[{arch}]"
        # as text: pytest takes it apart as it does what it noted for --lf, and then finds it there
        item = DeviceTest.from_parent(self, name=full, nodeid=f"{self.nodeid}::{full}")
        item.function_name, item.port = name, port
        return item

    def outcome(self, port: tuple[str, str], name: str, compiled: Path) -> str:
        """What the test said on that release and port: "" when it passed, else its traceback."""
        if port not in self.outcomes:
            self.outcomes[port] = self._run(*port, compiled)
        seen = self.outcomes[port]
        return seen.get(name, f"did not run\n{seen['output']}")

    def _run(self, release: str, arch: str, compiled: Path) -> dict[str, str]:
        search = f"{self.path.parent}:{compiled}:.frozen"
        done = subprocess.run(
            [
                toolchain.micropython(arch, release),
                "-X",
                f"heapsize={self.heap}",
                RUNNER,
                self.path.stem,
            ],
            capture_output=True,
            text=True,
            timeout=LONG_S,
            env={**os.environ, "MICROPYPATH": search},
        )
        seen = {"output": done.stdout + done.stderr}
        for line in done.stdout.splitlines():
            if line.startswith("@TEST "):
                name, fault = json.loads(line[6:])
                seen[name] = fault
        return seen


class DeviceTest(pytest.Item):
    """One test function on one port of one release."""

    function_name: str
    port: tuple[str, str]

    def runtest(self):
        fault = self.parent.outcome(self.port, self.function_name, _compiled(self.session))
        if fault:
            raise DeviceFault(fault)

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, DeviceFault):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, None, self.name


class DeviceFault(Exception):
    """A traceback from the device."""


def _compiled(session: pytest.Session) -> Path:
    """The firmware as .mpy, with bundles and containers beside it, once a session."""
    if not hasattr(session, "device_code"):
        into = session.config._tmp_path_factory.mktemp("device")
        sources = firmware_sources()
        sources["umqtt/simple.py"] = toolchain.umqtt() / "umqtt/simple.py"
        compile_tree(sources, into, short=False)
        for made in (made_bundles, made_containers):
            folder = into / made.__name__.removeprefix("made_")
            folder.mkdir()
            for name, data in made.samples().items():
                (folder / name).write_bytes(data)
        session.device_code = into
    return session.device_code
