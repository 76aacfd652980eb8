"""Plug-ins are listed in literal dicts: every row has its files, every file its row."""

import ast

import pytest
from sources import device_files, imports, parsed, trees

from sluice.compile import FIRMWARE, firmware_sources

TREES = trees()
LISTED_IN = "sluice.plugins"
REGISTRIES = {  # name of the list → the package it lists, what each plug-in of it defines
    "DIALECTS": (
        "sluice.clouds",
        {
            *("linked", "between_jobs", "next_job", "pending", "accept", "report", "progress"),
            "still",
        },
    ),
    "SOURCES": ("sluice.transfer", {"fetch", "close"}),
    "DOCUMENTS": ("sluice.jobs.documents", {"read"}),
    "OPERATIONS": (
        "sluice.jobs.operations",
        set(),
    ),  # as its row says: `run`, or `check` and no `run`
}


ROOMS = {  # where there are no plug-ins, or such as their row in agent.table names
    f"sluice.{room}"
    for room in ("agent", "agent.states", "console", "files", "jobs", "net", "slots", "trust")
}
SHARED = {"sluice.jobs.documents.operation"}  # plug-ins that others of their kind may import


def literals() -> dict[str, object]:
    """Every list of plug-ins, by its name; ast reads only literals."""
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in TREES[LISTED_IN].body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "").isupper()
    }


def rows(name: str) -> list[tuple[str, str]]:
    """(class or function, its module) of each row."""
    value = literals()[name]
    return list(value.values()) if isinstance(value, dict) else [row[1:] for row in value]


def defined(module: str) -> set[str]:
    kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in ast.walk(TREES[module]) if isinstance(node, kinds)}


def test_lists_are_those_we_know_and_of_the_folders_there_are():
    assert set(literals()) <= set(REGISTRIES)
    listed = {REGISTRIES[name][0] for name in literals()}
    folders = {file.parent.relative_to(FIRMWARE) for file in FIRMWARE.glob("sluice/*/**/*.py")}
    rooms = {str(folder).replace("/", ".") for folder in folders}
    assert rooms - ROOMS == listed


@pytest.mark.parametrize("name", sorted(literals()))
def test_list_names_each_file_of_its_folder_that_no_other_module_needs(name):
    package = REGISTRIES[name][0] + "."
    listed = {module for _, module in rows(name)}
    assert all(module.startswith(package) for module in listed)
    needed = {
        found
        for module, tree in TREES.items()
        if module != LISTED_IN
        for found in imports(tree, set(TREES))
        if found != module
    }
    assert {module for module in TREES if module.startswith(package)} <= listed | needed


@pytest.mark.parametrize("name", sorted(literals()))
def test_list_names_modules_that_there_are_and_what_they_define(name):
    for what, module in rows(name):
        assert what in defined(module)


@pytest.mark.parametrize("name", sorted(literals()))
def test_plug_in_is_written_as_its_list_says(name):
    wanted = REGISTRIES[name][1]
    for _, module, *_ in rows(name):
        assert wanted <= defined(module), f"{module} lacks {wanted - defined(module)}"


def test_operations_run_or_only_check_and_bring_files():
    for what, module, *_ in rows("OPERATIONS"):
        assert what == ("run" if "run" in defined(module) else "check"), module
    assert "run" in defined("sluice.files.place")
    assert "run" in defined("sluice.files.bundle")


@pytest.mark.parametrize("name", sorted(literals()))
def test_plug_in_imports_no_other_of_its_kind(name):
    listed = {module for _, module in rows(name)}
    for module in listed:
        others = set(imports(TREES[module], set(TREES))) & listed - {module}
        assert others <= SHARED, (module, others)


def test_sources_are_made_of_the_same_words():
    for kind, module, *_ in literals()["SOURCES"].values():
        (found,) = [n for n in TREES[module].body if getattr(n, "name", "") == kind]
        (made,) = [n for n in found.body if getattr(n, "name", "") == "__init__"]
        assert ast.unparse(made.args) == "self, sources, file, block", module


def test_jobs_cannot_replace_a_module_of_the_firmware():
    kept = next(
        ast.literal_eval(node.value)
        for node in TREES["sluice.files.paths"].body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_OURS"
    )
    kept = set(kept.split())
    own = {path.split("/")[0].removesuffix(".py") for path in firmware_sources()} | {"board"}
    assert own == {"board", "main", "sluice", "trees"} and own <= kept
    imported = {
        name.split(".")[0] for file in device_files() for name in imports(parsed(file), set(TREES))
    }
    assert {"json", "hashlib", "esp32", "w800", "umqtt"} <= imported
    assert imported - {"app", "__main__"} <= kept, (
        "a file of a job may stand in for a module that is imported"
    )
    assert {"boot", "clock", "journal", "order", "settings", "staged"} <= kept  # its own files
