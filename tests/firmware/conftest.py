"""Collects tests/firmware/test_*.py as tests that run on MicroPython, not on this Python.

Such a file is device code: plain functions called test_*, plain asserts. Each is run on the
32-bit and the 64-bit unix port, one process per file and port, with the compiled firmware and
this folder on its path. `HEAP = "80k"` at the top of a file sets its heap.
"""

import ast
import json
import os
import subprocess
from pathlib import Path

import pytest

from host_tools import toolchain
from host_tools.compile import compile_tree, firmware_sources

ARCHES = ("i386", "amd64")
RUNNER = Path(__file__).parent / "runner.py"
TIMEOUT_S = 100


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
        self.heap = next(
            (
                ast.literal_eval(node.value)
                for node in tree.body
                if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "HEAP"
            ),
            "400k",
        )
        self.outcomes: dict[str, dict] = {}
        for arch in ARCHES:
            for name in names:
                item = DeviceTest.from_parent(self, name=f"{name}[{arch}]")
                item.function_name, item.arch = name, arch
                yield item

    def outcome(self, arch: str, name: str, compiled: Path) -> str:
        """What the test said on that port: "" when it passed, else its traceback."""
        if arch not in self.outcomes:
            self.outcomes[arch] = self._run(arch, compiled)
        seen = self.outcomes[arch]
        return seen.get(name, f"did not run\n{seen['output']}")

    def _run(self, arch: str, compiled: Path) -> dict[str, str]:
        search = f"{self.path.parent}:{compiled}:.frozen"
        done = subprocess.run(
            [
                toolchain.micropython(arch),
                "-X",
                f"heapsize={self.heap}",
                RUNNER,
                self.path.stem,
            ],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            env={**os.environ, "MICROPYPATH": search},
        )
        seen = {"output": done.stdout + done.stderr}
        for line in done.stdout.splitlines():
            if line.startswith("@TEST "):
                name, fault = json.loads(line[6:])
                seen[name] = fault
        return seen


class DeviceTest(pytest.Item):
    """One test function on one port."""

    function_name: str
    arch: str

    def runtest(self):
        fault = self.parent.outcome(self.arch, self.function_name, _compiled(self.session))
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
    """The firmware as .mpy, once a session."""
    if not hasattr(session, "device_code"):
        into = session.config._tmp_path_factory.mktemp("device")
        sources = firmware_sources()
        sources["umqtt/simple.py"] = toolchain.umqtt() / "umqtt/simple.py"
        compile_tree(sources, into, short=False)
        session.device_code = into
    return session.device_code
