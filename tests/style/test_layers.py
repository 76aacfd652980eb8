"""Arrows point down only: main → run, wiring → agent → clouds → jobs → files → … → the ground."""

import ast
from collections.abc import Iterator

import pytest
from sources import BOARDS, device_files, imports, parsed, trees, where

# From the bottom up; a module may import what stands in its own row or below. Ends in ".": all
# modules of that room. The rows of a room stand together.
LAYERS = (
    # the ground: what every room speaks of
    (
        "sluice.errors",
        "sluice.log",
        "sluice.loading",
        "sluice.failures",
        "sluice.version",
        "trees",  # of the starter, beside main: who changes their record has its format from there
    ),
    ("sluice.plugins", "sluice.fields", "sluice.address"),
    ("sluice.job", "sluice.journal", "sluice.records"),
    # the rooms of what a job brings
    (
        "sluice.trust.p256",
        "sluice.trust.rsa",
        "sluice.trust.x509",
    ),
    ("sluice.trust.verify", "sluice.trust.proofs", "sluice.trust.seal", "sluice.trust.policy"),
    ("sluice.slots.esp32_image", "sluice.slots.w800_image"),
    ("sluice.slots.target", "sluice.slots.bootfile"),
    ("sluice.slots.tree", "sluice.slots.tree_record"),
    ("sluice.slots.esp32", "sluice.slots.w800"),
    ("sluice.transfer.base64", "sluice.transfer.cbor", "sluice.transfer.cbor_items"),
    (
        "sluice.transfer.json_escapes",
        "sluice.transfer.json_learned",
        "sluice.transfer.cbor_learned",
    ),
    ("sluice.transfer.json_block", "sluice.transfer.cbor_block"),
    ("sluice.transfer.image", "sluice.transfer.blocks", "sluice.transfer.description"),
    ("sluice.transfer.update", "sluice.transfer.stream", "sluice.transfer.http_range"),
    ("sluice.transfer.inflater",),
    ("sluice.transfer.container",),
    ("sluice.transfer.smaller",),
    ("sluice.files.staged", "sluice.files.paths"),
    ("sluice.files.staging", "sluice.files.bundle_head"),
    ("sluice.files.fetch", "sluice.files.inflate"),
    ("sluice.files.place",),
    ("sluice.files.bundle",),
    ("sluice.jobs.documents.", "sluice.jobs.operations.", "sluice.jobs.relay"),
    ("sluice.clouds.",),
    ("sluice.agent.table", "sluice.agent.states."),
    ("sluice.agent.agent",),
    # the room of sockets and of time
    (
        "sluice.net.packets",
        "sluice.net.connect",
        "sluice.net.refusals",
        "sluice.net.ntp",
        "sluice.net.redirect",
        "sluice.net.dates",
        "sluice.net.holding",
    ),
    ("sluice.net.lines", "sluice.net.reader"),
    (
        "sluice.net.mqtt",
        "sluice.net.clock",
        "sluice.net.http",
    ),
    # what puts them together
    ("sluice.config",),
    ("sluice.lastlink",),
    ("sluice.lastgood",),
    ("sluice.linking",),
    ("sluice.hardware",),
    ("sluice.vitals",),
    ("sluice.starting",),
    ("sluice.run", "sluice.wiring"),
    ("sluice.console.network",),
    ("sluice.console.verbs",),
    ("sluice.console.prompt",),
    ("main",),
)
PLUGGED = (
    "sluice.jobs.documents.",
    "sluice.jobs.operations.",
    "sluice.transfer.",
    "sluice.clouds.",
    "sluice.agent.states.",
)
LISTS = "sluice.plugins"  # names every plug-in and imports none

# module of the port or of PyPI → the only modules of ours that may import it
NET = "sluice.net."
CONSOLE = ("sluice.console.verbs", "sluice.console.network")
ONLY = {
    "machine": ("sluice.hardware", "sluice.vitals", "main"), "network": ("sluice.hardware",),
    "esp32": ("main", "trees"), "w800": (), "ntptime": (),
    "socket": (NET,), "tls": (NET,), "ssl": (NET,), "select": (NET,), "umqtt.simple": (NET,),
    "asyncio": (NET, "sluice.run", "sluice.linking", *CONSOLE, "sluice.console.prompt"),
    "board": ("main", "sluice.run", "sluice.linking", "sluice.vitals", "sluice.wiring", *CONSOLE),
    "app": ("sluice.starting",),
}  # fmt: skip
TREES = trees()
KNOWN = set(TREES)


def layer(name: str) -> int:
    """The number of a module's row."""
    for number, row in enumerate(LAYERS):
        for entry in row:
            if name == entry or entry.endswith(".") and (name + ".").startswith(entry):
                return number
    pytest.fail(f"{name} stands in no layer: give it a row in LAYERS")


def within(name: str, entries: tuple[str, ...]) -> bool:
    return any(
        name == entry or entry.endswith(".") and name.startswith(entry) for entry in entries
    )


def ours(name: str) -> list[tuple[str, bool]]:
    """The modules of ours that one imports, and whether it is only plugged in by name."""
    return [found for found in imports(TREES[name], KNOWN) if found in KNOWN and found != name]


@pytest.mark.parametrize("name", sorted(KNOWN - {LISTS}))
def test_module_imports_only_what_is_below_it(name):
    for imported in ours(name):
        if within(imported, PLUGGED) and layer(imported) > layer(name):
            assert imported not in statements(name), (
                f"{name} must plug {imported} in, not import it"
            )
            continue
        assert layer(imported) <= layer(name), f"{name} imports {imported}, which is above it"


def statements(name: str) -> set[str]:
    """What a module imports by a statement at its top."""
    top = ast.Module(
        [n for n in TREES[name].body if isinstance(n, ast.Import | ast.ImportFrom)], []
    )
    return set(imports(top, KNOWN))


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_module_imports_hardware_and_sockets_only_where_it_may(name):
    for imported in imports(TREES[name], KNOWN):
        if imported in ONLY:
            assert within(name, ONLY[imported]), f"{name} must not import {imported}"


def test_list_of_plug_ins_imports_nothing_of_ours():
    assert not statements(LISTS) & KNOWN


def test_rooms_of_the_agent_know_nothing_of_the_net_the_board_and_the_wiring():
    net = layer("sluice.net.packets")
    below = [name for name in KNOWN if layer(name) < net]
    assert len(below) > len(KNOWN) / 2
    for name in below:
        above = {found for found in ours(name) if layer(found) >= net}
        assert not above, f"{name} imports {above}"


def room(name: str) -> str:
    """The first folder below the package; "" for what lies beside the rooms."""
    return name.split(".")[1] if name.count(".") > 1 else ""


def test_rows_of_a_room_stand_together_so_no_arrow_between_rooms_runs_back_up():
    rows = {}
    for number, row in enumerate(LAYERS):
        for entry in row:
            rows.setdefault(room(entry), set()).add(number)
    assert len(rows) == 10
    for name, numbers in rows.items():
        if name:
            between = set(range(min(numbers), max(numbers) + 1))
            others = set().union(*(rows[other] for other in rows if other != name))
            assert not between & others, f"other rows stand among those of {name}"


def test_modules_that_import_each_other_in_a_circle_there_are_none():
    below = {name: {found for found in ours(name) if found in statements(name)} for name in KNOWN}
    while True:
        leaves = {name for name, needs in below.items() if not needs}
        if not leaves:
            break
        below = {name: needs - leaves for name, needs in below.items() if name not in leaves}
    assert not below, f"in a circle: {sorted(below)}"


def test_boards_alone_import_the_hardware_and_none_of_the_nets():
    assert list(BOARDS.rglob("board.py"))
    for file in device_files():
        tops = {name.split(".")[0] for name in imports(parsed(file), KNOWN)}
        hardware = tops & {"machine", "esp32", "network", "w800"}
        guard = (file.name, hardware) in (  # before all others
            ("main.py", {"machine", "esp32"}),
            ("trees.py", {"esp32"}),
        )
        known = ("board.py", "hardware.py", "vitals.py")
        assert not hardware or guard or file.name in known, where(file, parsed(file))
        if file.parent.parent != BOARDS and file.name != "vitals.py":  # which tells of the radio
            assert "sluice.hardware" not in imports(parsed(file), KNOWN), (
                f"{file.name}: hardware is for board.py"
            )
        if file.name == "board.py":
            assert not tops & {"socket", "tls", "ssl", "umqtt", "app", "main"}, file
            below = {"sluice.slots.esp32", "sluice.slots.w800", "sluice.hardware"}
            assert len(below & set(imports(parsed(file), KNOWN))) == 2, file


def test_layers_name_no_module_twice():
    entries = [entry for row in LAYERS for entry in row]
    assert len(entries) == len(set(entries))


def texts(node: ast.AST) -> set[str]:
    """The texts that code compares, looks up or says; not what it documents."""
    nodes = list(ast.walk(node))
    documented = {one.value for one in nodes if isinstance(one, ast.Expr)}
    constants = {one for one in nodes if isinstance(one, ast.Constant)} - documented
    return {one.value for one in constants if isinstance(one.value, str)}


def literal(module: str, name: str) -> ast.expr:
    """What a module gives that name at its top."""
    for node in TREES[module].body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return node.value
    pytest.fail(f"{module} has no {name}")


def members(module: str) -> Iterator[str]:
    """The members of messages and documents that a module reads."""
    for node in ast.walk(TREES[module]):
        called = isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2]
        if called in ("field", "get"):
            key = node.args[called == "field"]
            if isinstance(key, ast.Constant):
                yield key.value


def test_agent_and_its_states_know_no_word_of_a_cloud_or_a_document():
    wire = ast.literal_eval(literal("sluice.clouds.aws_updates", "WIRE"))
    words = ("sluice.clouds.product_words", "STATUS"), ("sluice.clouds.product_words", "WORST")
    theirs = {word for status, details in wire.values() for word in (status, *details)}
    theirs = theirs.union(*(texts(literal(*place)) for place in (*words, (LISTS, "DOCUMENTS"))))
    theirs |= {text for text in texts(TREES["sluice.clouds.product"]) if "_" in text}
    for name in KNOWN:
        if name.startswith(("sluice.jobs.documents.", "sluice.clouds.")):
            theirs |= set(members(name))
    ours = set(wire) | texts(literal("sluice.agent.table", "TRANSITIONS"))  # steps and events
    ours |= {"job", "number", "version", "step", "files"}  # members of the journal
    ours |= {"reason", "running"}  # and of what `Agent.info` tells
    assert {"self_test", "SUCCEEDED", "step_key", "timeout", "rollback"} <= theirs - ours
    for name in KNOWN:
        if name in ("sluice.agent.agent", "sluice.agent.table") or name.startswith(
            "sluice.agent.states."
        ):
            known = texts(TREES[name]) & (theirs - ours)
            assert not known, f"{name} knows {known}"
