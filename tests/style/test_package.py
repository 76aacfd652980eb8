"""package.json, manifest.py and the docstrings of packages name every module there is."""

import ast
import json
import re

import pytest
from sources import parsed

from sluice import package
from sluice.compile import FIRMWARE, ROOT, firmware_sources


def frozen(file) -> tuple[set[str], list[str]]:
    """(modules, required packages) of a manifest, run as MicroPython's build runs it."""
    modules, required = set(), []

    def whole(name: str, opt: int) -> None:
        found = {str(path.relative_to(file.parent)) for path in (file.parent / name).rglob("*.py")}
        assert found and opt == 3
        modules.update(found)

    def single(name: str, opt: int) -> None:
        assert (file.parent / name).is_file() and opt == 3
        modules.add(name)

    exec(file.read_text(), {"module": single, "package": whole, "require": required.append})
    return modules, required


def test_package_for_mip_names_every_module_and_umqtt():
    made = json.loads(package.PACKAGE.read_text())
    assert {source for _, source in made["urls"]} == set(firmware_sources()) - {
        "main.py",
        "trees.py",
    }
    assert all(target == source for target, source in made["urls"])
    assert made["deps"] == [["umqtt.simple", "latest"]]


def test_manifest_freezes_every_module_and_umqtt():
    modules, required = frozen(FIRMWARE / "manifest.py")
    assert modules == set(firmware_sources()), "firmware/manifest.py"
    assert required == ["umqtt.simple"]


@pytest.mark.parametrize("folder", ["bundle", "device", "flash", "fleet", "image"])
def test_docstring_of_a_package_lists_its_modules(folder: str):
    modules = {file.stem: file for file in (ROOT / "host_tools" / folder).glob("*.py")}
    text = ast.get_docstring(parsed(modules.pop("__init__")))
    assert modules.keys() <= set(re.findall(r"(?:^|  )(\w+)\b", text, re.MULTILINE))
