"""Public names that the firmware's modules agree on: who else speaks of one keeps it as it is."""

import ast

import pytest

from sluice import toolchain
from sluice.agreed_names import SPARE, Agreeing, agreed, code_in, public_in, said_in
from sluice.compile import agreed_names, agreeing, firmware_sources
from sluice.shorten import ARGUMENTS, PRIVATE, words

GIVER = """
class Giver:
    '''Speaks of `handed`, which is no text.'''
    def __init__(self):
        self.handed = self.other = 1
    def shown(self, wanted=2):
        return self.handed + wanted
class Lost(OSError):
    pass
def asked():
    return "other", Giver()
def keys():
    pass
"""
TAKER = """
import time
from sluice.giver import Giver, Lost, asked, keys
def taken():
    return plug_in("sluice.giver", "asked")()[1].shown(wanted=5) + time.shown
"""


def renamed(*sources: str, spoken=()) -> dict[str, str]:
    return agreed(sources, spoken)


def test_names_of_the_firmware_alone_are_replaced_alike_in_all_its_modules():
    short = renamed(GIVER, TAKER)
    assert short.keys() == {"Giver", "asked", "handed", "taken"}
    assert len(set(short.values())) == 4 and set(short.values()) <= set(SPARE)
    giver, taker = (
        ast.unparse(Agreeing(short).visit(ast.parse(source))) for source in (GIVER, TAKER)
    )
    space = {}
    exec(giver, space)
    for name in ("Giver", "Lost", "asked", "keys"):
        space[name] = space[short.get(name, name)]
    space["plug_in"] = lambda path, name: space[name]
    taker = "\n".join(line for line in taker.splitlines() if "import" not in line)
    space["time"] = type("time", (), {"shown": 1})
    exec(taker, space)
    assert space[short["taken"]]() == 1 + 5 + 1


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("other", "a text"),
        ("shown", "an attribute of a module that is not ours"),
        ("wanted", "given by name"),
        ("Lost", "an error, which logs name"),
        ("keys", "a method of dict"),
    ],
)
def test_name_that_others_may_use_stays(name, why):
    assert name not in renamed(GIVER, TAKER), why


def test_name_that_is_spoken_of_elsewhere_stays():
    assert "handed" not in renamed(GIVER, TAKER, spoken={"handed"})


def test_what_is_spoken_of():
    page = "Plain `one` word, `no answer`, `link.five(to, six)`.\n\n```py\ntwo(3)\n```\n\n"
    page += "    three(four)    of no account\n"
    assert code_in(page) >= {"one", "two", "three", "four", "link", "five", "to", "six"}
    assert not code_in(page) & {"Plain", "account", "no", "answer"}
    source = "from one import two\ndef three(four):\n    'five'\n    four.six(seven=eight)\n"
    assert said_in(source + "    return 'nine ten'\n") == {
        "two",
        "three",
        "four",
        "six",
        "seven",
        "nine",
        "ten",
    }
    assert public_in("def one(two):\n    two.three = 4\ndef _four(): pass\n") == {"one", "two"}


def test_agreed_names_are_nobody_elses():
    """Not a private one's short name, for they may meet in one object; not a module's."""
    short = agreed_names()
    assert len(short) > 100 and len(set(short.values())) == len(short)
    assert not set(short.values()) & {*PRIVATE, *ARGUMENTS}
    sources = firmware_sources()
    parts = {part for name in sources for part in name.removesuffix(".py").split("/")}
    assert not short.keys() & parts
    tree = ast.parse((toolchain.umqtt() / "umqtt/simple.py").read_text())
    theirs = {word for node in ast.walk(tree) for word in words(node)}
    assert not theirs & {*short, *short.values()}
    starter = {
        word for node in ast.walk(ast.parse(agreeing(sources["main.py"]))) for word in words(node)
    }
    assert starter == {
        word
        for node in ast.walk(ast.parse(sources["main.py"].read_text()))
        for word in words(node)
    }


COUNT = """
import micropython
w = %r
for w in w.split():
    micropython.qstr_info()
    getattr(micropython, w, None)
micropython.qstr_info()
"""


def test_agreed_names_are_built_into_micropython_and_those_that_they_stand_for_are_not(
    micropython,
):
    """What is built in costs nothing. And it may be an attribute of what is not ours."""
    names = [*SPARE, *agreed_names()]
    lines = micropython(COUNT % " ".join(names)).stdout.splitlines()
    counts = [int(line.split("n_qstr=")[1].split(",")[0]) for line in lines if "n_qstr" in line]
    grown = {name for name, old, new in zip(names, counts, counts[1:], strict=False) if new > old}
    assert len(counts) == len(names) + 1
    assert grown == agreed_names().keys()


def test_documented_names_stay():
    for name in ("publish", "subscribe", "set_last_will", "before_reset", "linked", "settings"):
        assert name not in agreed_names()
