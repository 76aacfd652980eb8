"""What device code does not do, because MicroPython or a board would mind."""

import ast

import pytest
from sources import device_files, parsed, where

FILES = [pytest.param(file, id=f"{file.parent.name}/{file.name}") for file in device_files()]
PRINTERS = {"main.py", "trees.py", "log.py", "failures.py", "verbs.py", "network.py"}
TRACERS = {"main.py", "log.py", "failures.py"}  # an exception may say what is anybody's
FORGETFUL = {"loading.py", "agent.py", "run.py", "verbs.py"}  # a state, a start and the prompt
WORDS = ("utils", "helpers", "helper", "manager", "misc", "common")
PRIVATE = {"asyncio.core._io_queue", "sys.implementation._mpy"}  # which have no other name
SWALLOWED = {"BaseException", "KeyboardInterrupt", "SystemExit", "GeneratorExit"}
MAY = {name: {"SystemExit"} for name in ("starting.py", "operation.py")}  # the user's
MAY["main.py"] = {"SystemExit", "BaseException"}  # the guard; KeyboardInterrupt goes on before it


def nodes(file, *kinds):
    return (node for node in ast.walk(parsed(file)) if isinstance(node, kinds))


@pytest.mark.parametrize("file", FILES)
def test_device_code_catches_errors_by_name_and_no_interrupt(file):
    for node in nodes(file, ast.ExceptHandler):
        assert node.type is not None, f"{where(file, node)}: bare except"
        caught = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)}
        if isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None:
            continue  # what it caught goes on
        assert not caught & SWALLOWED - MAY.get(file.name, set()), where(file, node)


@pytest.mark.parametrize("file", FILES)
def test_device_code_prints_only_in_the_log_and_the_console(file):
    if file.name not in PRINTERS:
        for node in nodes(file, ast.Name):
            assert node.id != "print", where(file, node)
    if file.name not in TRACERS:
        for node in nodes(file, ast.Attribute):
            assert node.attr != "print_exception", where(file, node)


@pytest.mark.parametrize("file", FILES)
def test_device_code_forgets_modules_in_one_place(file):
    """Else a caller must know what whom he calls has loaded. A scope says why it is there."""
    for node in nodes(file, ast.Call):
        if getattr(node.func, "id", "") == "forget":
            assert file.name in FORGETFUL, where(file, node)
    for node in nodes(file, ast.With):
        if ast.unparse(node.items[0]) == "Scope()":
            line = file.read_text().splitlines()[node.lineno - 1]
            assert "  # " in line, f"{where(file, node)}: a scope without a reason"


@pytest.mark.parametrize("file", FILES)
def test_device_code_has_no_floats(file):
    for node in nodes(file, ast.Constant):
        assert not isinstance(node.value, float), where(file, node)
    divisions = list(nodes(file, ast.Div))
    assert not divisions, f"{file.name}: / makes a float, // does not"
    for node in nodes(file, ast.Name):
        assert node.id != "float", where(file, node)


@pytest.mark.parametrize("file", FILES)
def test_device_code_has_no_asserts_which_vanish_when_optimised(file):
    assert not [where(file, node) for node in nodes(file, ast.Assert)]


@pytest.mark.parametrize("file", FILES)
def test_device_code_never_adds_f_strings_side_by_side(file):
    for node in nodes(file, ast.JoinedStr):
        assert node.end_lineno == node.lineno, where(file, node)


@pytest.mark.parametrize("file", FILES)
def test_device_code_says_what_a_module_is(file):
    if file.read_text().strip():
        assert ast.get_docstring(parsed(file)), file


@pytest.mark.parametrize("file", FILES)
def test_device_code_has_names_that_say_something(file):
    assert not any(word in part for part in file.parts[-3:] for word in WORDS), file
    for node in nodes(file, ast.FunctionDef, ast.AsyncFunctionDef):
        assert not node.name.startswith("get_") and node.name.islower(), where(file, node)
    for node in nodes(file, ast.ClassDef):
        assert node.name.lstrip("_")[0].isupper() and "_" not in node.name.lstrip("_")
        assert not node.name.endswith(("Manager", "Helper", "Utils")), where(file, node)


@pytest.mark.parametrize("file", FILES)
def test_device_code_leaves_nothing_for_later(file):
    text = file.read_text()
    for word in ("TO" + "DO", "FIX" + "ME", "for now"):
        assert word not in text, f"{file.name}: {word}"


@pytest.mark.parametrize("file", FILES)
def test_device_code_touches_private_attributes_of_its_own_only(file):
    for node in nodes(file, ast.Attribute):
        private = node.attr.startswith("_") and not node.attr.startswith("__")
        own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        if private and not own:
            assert ast.unparse(node) in PRIVATE, where(file, node)
