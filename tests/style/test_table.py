"""The table of the agent: every event has a row, every row an event, every state a way on."""

import ast
import sys
from importlib import import_module
from types import ModuleType

import pytest
from raising import TREES, Raising

from sluice.compile import FIRMWARE

NEVER = {  # (state, event) that the tree allows and the code does not, and why
    ("CONNECTING", "lost"): "without a deadline, reach tries for ever",
}
RAISING = Raising()


def of_device(*names: str) -> list[ModuleType]:
    """Modules of the firmware, whose package has the name of the host's."""
    hosts = {name: sys.modules.pop(name) for name in list(sys.modules) if is_sluice(name)}
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(FIRMWARE))
            return [import_module(name) for name in names]
    finally:
        for name in list(filter(is_sluice, sys.modules)):
            del sys.modules[name]
        sys.modules.update(hosts)


def is_sluice(name: str) -> bool:
    return name.partition(".")[0] == "sluice"


TABLE, JOURNAL = of_device("sluice.agent.table", "sluice.journal")


@pytest.fixture
def table():
    return TABLE


ROOM = "sluice.agent.states."


def homes() -> dict[str, str]:
    """Each public coroutine of states/ as a state → the module that it stands in."""
    found: dict[str, str] = {}
    for module in (name for name in TREES if name.startswith(ROOM)):
        for node in TREES[module].body:
            if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_"):
                assert node.name.upper() not in found, f"{node.name} twice"
                found[node.name.upper()] = module
    return found


HOMES = homes()


def coroutine(state: str) -> ast.AsyncFunctionDef:
    """The coroutine of the state's name in its module."""
    (found,) = (
        node
        for node in TREES[HOMES[state]].body
        if isinstance(node, ast.AsyncFunctionDef) and node.name == state.lower()
    )
    return found


def returned(state: str, table) -> set[str]:
    """The events that the state's coroutine returns."""
    inner = {
        child
        for node in ast.walk(coroutine(state))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != state.lower()
        for child in ast.walk(node)
    }
    returns = [
        node.value
        for node in ast.walk(coroutine(state))
        if isinstance(node, ast.Return) and node not in inner
    ]
    return set().union(*(values(value, state, table) for value in returns))


def values(node: ast.AST | None, state: str, table) -> set[str]:
    """The events that an expression may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return values(node.body, state, table) | values(node.orelse, state, table)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        for function in TREES[HOMES[state]].body:
            if getattr(function, "name", None) == node.func.id:
                found = [n.value for n in ast.walk(function) if isinstance(n, ast.Return)]
                return set().union(*(values(value, state, table) for value in found))
    if isinstance(node, ast.Name) and state == "BOOTING":
        return {event for _, _, event in table.BOOT}
    if isinstance(node, ast.Attribute) and node.attr == "kind":
        return kinds()
    pytest.fail(f"{state} returns {ast.unparse(node) if node else None}: which events are that?")


def kinds() -> set[str]:
    """The kinds of job that the document shapes know."""
    return {
        node.value.value
        for name in TREES
        if name.startswith("sluice.jobs.documents.")
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "job.kind"
    }


def raised(state: str, table) -> set[str]:
    """The events that errors in the state's code become."""
    errors = RAISING.function(HOMES[state], state.lower())
    return {event for kind, event in table.ERRORS if kind.__name__ in errors}


@pytest.mark.parametrize("state", sorted(HOMES))
def test_state_every_event_has_a_row_and_every_row_its_event(state, table):
    rows = set(table.TRANSITIONS[state])
    errors = raised(state, table)
    if "failed" in rows:
        errors.add("failed")  # an exception that nobody foresaw
    if "lost" in rows:
        errors.add("starved")  # the heap can be full anywhere
    impossible = {event for at, event in NEVER if at == state}
    happens = returned(state, table) | errors - impossible
    assert happens - rows == set(), "without a row"
    assert rows - happens == set(), "a row that cannot happen"


def test_events_that_never_happen_are_listed_only_where_the_tree_allows_them(table):
    for state, event in NEVER:
        assert event in raised(state, table), f"{state} cannot raise {event}: strike it from NEVER"
        assert event not in table.TRANSITIONS[state]


def test_states_of_the_table_are_the_coroutines_of_their_folder_where_the_table_says(table):
    assert table.TRANSITIONS.keys() == table.MODULES.keys() == HOMES.keys()
    assert {state: ROOM + module for state, module in table.MODULES.items()} == HOMES


def test_states_that_bring_an_image_or_files_have_their_modules_alone(table):
    """The heap is fullest then."""
    for state in (table.DOWNLOADING, table.OPERATING):
        assert list(table.MODULES.values()).count(table.MODULES[state]) == 1, state


def test_states_have_no_module_without_one():
    assert {name for name in TREES if name.startswith(ROOM)} == set(HOMES.values())


def test_states_lead_to_states(table):
    for state, row in table.TRANSITIONS.items():
        for event, following in row.items():
            end = state == table.RESETTING and following is None
            assert end or following in table.TRANSITIONS, (state, event)


def reachable(table, begin: str) -> set[str]:
    seen, ahead = set(), [begin]
    while ahead:
        state = ahead.pop()
        if state and state not in seen:
            seen.add(state)
            ahead += table.TRANSITIONS[state].values()
    return seen


def test_states_can_all_be_reached_from_booting(table):
    assert reachable(table, table.BOOTING) == set(table.TRANSITIONS)


def test_states_all_have_a_way_on_to_the_next_job_or_a_reset(table):
    for state in set(table.TRANSITIONS) - {table.RESETTING}:
        ahead = set().union(*(reachable(table, s) for s in table.TRANSITIONS[state].values()))
        assert ahead & {table.IDLE, table.RESETTING}, state
        assert state not in table.TRANSITIONS[state].values(), f"{state} follows itself"


def test_every_outcome_goes_through_reporting(table):
    """Nothing that is owed can be passed over on the way from a job to the next."""
    for state in set(table.TRANSITIONS) - {table.BOOTING, table.CONNECTING, table.TRYING}:
        for event, following in table.TRANSITIONS[state].items():
            if event in ("failed", "refused", "known", "done"):
                assert following == table.REPORTING, (state, event)


def test_errors_each_have_one_event(table):
    assert len({kind for kind, _ in table.ERRORS}) == len({e for _, e in table.ERRORS}) == 4


def test_boot_rows_can_each_be_the_first_that_matches(table):
    first = set()
    for phase in JOURNAL.PHASES:
        for slot in ("trial", "new", "old"):
            for row in table.BOOT:
                if row[0] in ("any", phase) and row[1] in ("any", slot):
                    first.add(row)
                    break
            else:
                pytest.fail(f"no row for {phase}, {slot}")
    assert first == set(table.BOOT)
