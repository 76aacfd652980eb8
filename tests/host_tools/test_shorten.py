"""Private names and arguments of device modules, made short: the module does what it did."""

import ast
from pathlib import Path

import pytest

from sluice import toolchain
from sluice.compile import compile_module, firmware_sources, inherited, own, renamed
from sluice.errors import SluiceError
from sluice.shorten import ARGUMENTS, PRIVATE, bases, named, names, own_names, shortened, words

MODULE = '''
"""A module with _private words in its docstring."""
_LIMIT = const(3)
_table = {"_key": 1}


class Thing:
    def __init__(self, size, name="x"):
        self._size = size
        self.name = name

    def grow(self, by):
        """More of _size."""
        later = lambda by: by + self._size
        def twice(value):
            nonlocal by
            by = 2 * value
            return by
        self._size = later(by) + twice(by)
        return getattr(self, "_size")


def _made(size):
    return Thing(size, name="y")


def run(size):
    return _made(size).grow(by=_LIMIT), _table["_key"], Thing(1).name
'''


def run(source: str) -> tuple:
    """What the module's `run` gives."""
    space = {"const": int}
    exec(compile(source, "module", "exec"), space)
    return space["run"](4)


def test_shortened_module_does_what_it_did():
    assert run(shortened(MODULE, named([MODULE]))) == run(MODULE)


def test_private_names_and_arguments_are_short_and_public_ones_stay():
    text = shortened(MODULE, named([MODULE]))
    for word in ("_table", "_made", "_size", "value", "docstring"):
        assert word not in text
    for word in ("_LIMIT", "Thing", "grow", "self.name", "name='x'", "by", "_key"):
        assert word in text


def test_module_whose_arguments_are_public_keeps_them():
    assert "def run(size)" in shortened(MODULE)


def test_text_that_may_mean_a_private_name_is_refused():
    with pytest.raises(SluiceError, match="a private name within a text"):
        shortened("_a1 = 1\nfor name in '_a1 b'.split():\n    globals().pop(name)\n")


def test_short_name_is_no_name_that_the_module_uses_already():
    first, second = PRIVATE[:2]
    (short,) = names(ast.parse(f"_mine = foreign.{first}\n")).values()
    assert short == second


def test_names_that_are_built_in_come_first_and_then_short_ones():
    source = "".join(f"_name{number} = {number}\n" for number in range(len(PRIVATE) + 2))
    assert list(names(ast.parse(source)).values()) == [*PRIVATE, "_a", "_b"]
    assert len(set(PRIVATE) | set(ARGUMENTS)) == len(PRIVATE) + len(ARGUMENTS)


def test_names_are_built_into_micropython(micropython):
    """What is interned already costs nothing: the table of names does not grow by them."""
    words = " ".join([*PRIVATE, *ARGUMENTS])
    script = (
        "import micropython\n"
        "words = %r\n"
        "micropython.qstr_info()\n"
        "for word in words.split():\n"
        "    getattr(micropython, word, None)\n"
        "micropython.qstr_info()\n"
    )
    before, after = micropython(script % words).stdout.splitlines()[:2]
    grown = [int(line.split("n_qstr=")[1].split(",")[0]) for line in (before, after)]
    assert grown[0] == grown[1]


def test_public_name_that_nobody_else_speaks_of_is_the_modules_own():
    source = "def alone():\n    return other() + known['word']\ndef word():\n    pass\n"
    source += "def other():\n    return 'text'.split()\ndef split():\n    pass\n"
    assert own_names(source, {"other"}) == {"alone"}  # not `word`, a text, nor `split`, a method
    assert "alone" not in shortened(source, (), {"alone"})
    for name, file in firmware_sources().items():
        assert Path(name).stem not in own(file), "who loads a state asks for it by its name"


def test_modules_of_the_device_use_no_private_name_of_another():
    for name, file in firmware_sources().items():
        tree = ast.parse(file.read_text())
        own = {short for node in ast.walk(tree) for short in [getattr(node, "name", None)]}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                private = node.attr.startswith("_") and not node.attr.startswith("__")
                private = private and ast.unparse(node) != "sys.implementation._mpy"  # not ours
                assert not private or node.attr in names(tree) or node.attr in own, (
                    name,
                    node.attr,
                )


BASE = """
class Base:
    def __init__(self):
        self._left = 1

    def _ours(self):
        return self._left
"""
DERIVED = """
from net.base import Base as Parent
import far.away
class Derived(Parent, far.away.Other):
    def __init__(self):
        super().__init__()
        self._mine = 7
    def _own(self):
        return self._mine
"""
FURTHER = (
    "import net.derived\nclass Further(net.derived.Derived):\n    def _last(self):\n        pass\n"
)


def laid(root: Path, **modules: str) -> list[Path]:
    """Files of those modules in root/net."""
    (root / "net").mkdir()
    files = [root / "net" / f"{name}.py" for name in modules]
    for file, text in zip(files, modules.values(), strict=True):
        file.write_text(text)
    return files


def test_module_that_inherits_from_another_shares_no_short_name_with_it(tmp_path):
    files = laid(tmp_path, base=BASE, derived=DERIVED, further=FURTHER)
    every = [renamed(file, tmp_path) for file in files]
    assert [set(short) for short in every] == [{"_left", "_ours"}, {"_mine", "_own"}, {"_last"}]
    given = [short for part in every for short in part.values()]
    assert len(given) == len(set(given)) == 5
    space: dict = {"Base": None}
    for file in files[:2]:
        text = shortened(file.read_text(), (), (), inherited(file, tmp_path))
        text = text.replace(
            "from net.base import Base as Parent\nimport far.away", "Parent = Base"
        )
        exec(text.replace(", far.away.Other", ""), space)
    made, left, mine = space["Derived"](), *[every[0]["_ours"], every[1]["_own"]]
    assert (getattr(made, left)(), getattr(made, mine)()) == (1, 7)


@pytest.mark.parametrize(
    "line",
    ["def _ours(self):\n        pass", "_ours = 3", "def more(self):\n        self._left = 2"],
)
def test_private_member_that_a_base_of_another_module_has_too_is_refused(tmp_path, line):
    _, derived, further = laid(
        tmp_path, base=BASE, derived=DERIVED, further=f"{FURTHER}    {line}\n"
    )
    inherited(derived, tmp_path)
    with pytest.raises(SluiceError, match=r"net/further.py: net/base.py, of a base class, has"):
        inherited(further, tmp_path)


def test_modules_of_the_device_share_no_short_name_with_those_they_inherit_from():
    sources, found = firmware_sources(), set()
    for name, file in sources.items():
        for module in bases(ast.parse(file.read_text())):
            base = sources.get(module.replace(".", "/") + ".py")
            if base:
                found.add((name, module))
                assert not set(renamed(file).values()) & set(renamed(base).values()), (
                    name,
                    module,
                )
    assert {
        ("sluice/net/http.py", "sluice.net.lines"),
        ("sluice/files/fetch.py", "sluice.transfer.image"),
    } <= found


def test_link_shares_no_name_with_the_client_that_it_inherits_from():
    """umqtt.simple is not ours: its names stay."""
    link = firmware_sources()["sluice/net/mqtt.py"]
    assert bases(ast.parse(link.read_text())) == {"umqtt.simple"}
    tree = ast.parse((toolchain.umqtt() / "umqtt/simple.py").read_text())
    theirs = {word for node in ast.walk(tree) for word in words(node)}
    assert "_send_str" in theirs
    assert not theirs & {*renamed(link), *renamed(link).values()}


def test_modules_of_the_device_give_no_other_object_an_attribute_that_is_made_short():
    """Its class may be of another module, which gives the same short name to something else."""
    for name, file in firmware_sources().items():
        short = renamed(file)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                assert node.attr not in short or ast.unparse(node.value) == "self", (
                    name,
                    node.attr,
                )


def test_module_is_compiled_with_the_names_that_it_is_said_to_have(tmp_path):
    source = firmware_sources()["sluice/files/fetch.py"]
    compile_module(source, tmp_path / "files.mpy", "sluice/files/fetch.py")
    code = (tmp_path / "files.mpy").read_bytes()
    assert b"_identity" not in code and renamed(source)["_identity"].encode() in code
