"""What belongs on a board: the agent as a tree, the starter as source, and the thing's files."""

import json
from functools import lru_cache
from pathlib import Path

from sluice.bundle import make, rules, tree
from sluice.compile import STARTERS
from sluice.device.provision import thing_files
from sluice.errors import SluiceError
from sluice.flash.trees import CELLS, Agent

START, CHOICE = "/main.py", "/trees.py"  # the starter: the second chooses what runs
CONFIG = "/config.json"


def starter() -> dict[str, bytes]:
    """What starts a board, as source: an .mpy would not run on a MicroPython of another format."""
    return {f"/{file.name}": file.read_bytes() for file in STARTERS}


@lru_cache
def agent(board: str) -> Agent:
    """The tree of this installation's agent. SluiceError: no such board."""
    members = make.agent_members(board)
    about = rules.read(members[rules.DESCRIPTION])
    return Agent(tree.pack(members), about["version"], about.get("mpy", 0))


def firmware(board: str, runs: Agent | None = None) -> dict[str, bytes]:
    """All that a board has of us, when nothing was there before: the agent's tree, which is
    `runs` where it is given, the record that names it, and the starter."""
    runs = runs or agent(board)
    cell = tree.record(1, [], [runs.entry("a")])
    return {"/agent.a": runs.content, CELLS[1]: cell, **starter()}


def identity(state: Path, thing: str) -> tuple[dict, dict[str, bytes]]:
    """(config.json, the other files) of a thing, as `sluice thing create` made them.

    raises  SluiceError: no such thing, no JSON, or a file that config.json names is missing; the
            key is, of a thing made with --csr
    """
    files = {f"/{name}": content for name, content in thing_files(state, thing).items()}
    config = json.loads(files.pop(CONFIG))
    for key in ("ca", "certificate", "private_key", "signers", "http_ca"):
        named = config.get(key) or []
        for name in [named] if isinstance(named, str) else named:
            path = str(name).lstrip("/")
            if f"/{path}" not in files:
                place = state / "things" / thing / path
                raise SluiceError(
                    f"config.json of {thing} names {name} as {key}: put it into {place}"
                )
    return config, files
