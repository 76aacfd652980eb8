"""Plug-ins are listed in literal dicts: every row has its file, every file its row."""

import ast

import pytest
from sources import trees

from host_tools.compile import FIRMWARE

TREES = trees()
REGISTRIES = (  # package → (module that lists it, name of the list)
    ("ota.documents", "ota.job", "DOCUMENTS"),
    ("ota.dialects", "ota.dialects", "DIALECTS"),
    ("ota.sources", "ota.sources", "SOURCES"),
    ("ota.operations", "ota.operations", "OPERATIONS"),
)
PRESENT = [row for row in REGISTRIES if row[0] in TREES]


def files(package: str) -> set[str]:
    return {name for name in TREES if name.startswith(package + ".")}


def literal(module: str, name: str):
    """The value of a name that a module assigns a literal to."""
    for node in TREES[module].body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name:
            return ast.literal_eval(node.value)
    pytest.fail(f"{module} has no literal {name}")


def rows(module: str, name: str) -> list[tuple]:
    """The rows of a registry, as tuples of texts."""
    value = literal(module, name)
    found = value.values() if isinstance(value, dict) else value
    return [row if isinstance(row, tuple) else (row,) for row in found]


@pytest.mark.parametrize(("package", "module", "name"), PRESENT)
def test_registry_lists_each_file_of_its_package_and_no_other(package, module, name):
    listed = {text for row in rows(module, name) for text in row if text.startswith(package + ".")}
    assert listed == files(package)


@pytest.mark.parametrize(("package", "module", "name"), PRESENT)
def test_registry_names_only_modules_and_what_they_define(package, module, name):
    for row in rows(module, name):
        modules = [text for text in row if text in TREES]
        assert modules, row
        defined = {
            node.name
            for path in modules
            for node in TREES[path].body
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        }
        classes = [text for text in row if text[0].isupper()]
        assert set(classes) <= defined, row


@pytest.mark.parametrize(("package", "module", "name"), PRESENT)
def test_plug_in_is_written_as_its_package_says(package, module, name):
    wanted = {
        "ota.documents": {"read"},
        "ota.dialects": {"start", "next_job", "accept", "report", "progress", "still", "pending"},
        "ota.sources": {"fetch", "close"},
        "ota.operations": {"run"},
    }[package]
    for path in files(package):
        defined = {
            node.name
            for node in ast.walk(TREES[path])
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert wanted <= defined, f"{path} lacks {wanted - defined}"


def test_packages_are_those_we_know():
    packages = {str(p.parent.relative_to(FIRMWARE)) for p in FIRMWARE.rglob("__init__.py")}
    known = {row[0].replace(".", "/") for row in REGISTRIES} | {"ota", "ota/states", "net"}
    assert packages <= known
