"""The small form of `make fuzz`, and that what it looks for is found."""

import ast
from pathlib import Path

import pytest
from campaign import HERE, PARSERS, Outcome, judge, past, run

from sluice.compile import FIRMWARE

INPUTS = 1_500
SEED = 1


@pytest.mark.parametrize("name", PARSERS)
def test_parser_of_what_comes_from_outside_takes_or_refuses_whatever_it_is(
    name: str, compiled: Path, release: str
):
    outcome = run(compiled, name, "i386", INPUTS, SEED)
    assert outcome.losses == []
    assert outcome.inputs == INPUTS + len(past(name))
    assert outcome.taken > INPUTS // 50, "what is made is refused at once, and shows little"


@pytest.mark.parametrize("line", ["! 0 0 ValueError()", "+ 9000000 0 no", "+ 0 99999 no"])
def test_loss_of_each_kind_is_told_with_its_input(line: str):
    outcome = Outcome()
    judge("cbor", [b"\x01\x02"], [line], outcome)
    assert len(outcome.losses) == 1 and outcome.losses[0].endswith(": 0102")


def test_reader_that_disagrees_is_a_loss():
    outcome = Outcome()
    judge("signature", [b"QUJD", b"QUJE"], ["+ 0 0 414243", "- 0 0 Fail"], outcome)
    assert len(outcome.losses) == 1 and "51554a45" in outcome.losses[0]


def test_parser_that_hangs_or_ends_is_a_loss(compiled: Path, release: str, monkeypatch):
    monkeypatch.setitem(PARSERS, "nobody", PARSERS["cbor"])
    outcome = run(compiled, "nobody", "i386", 3, SEED)
    assert len(outcome.losses) == 1 and "AttributeError" in outcome.losses[0]


def test_past_failures_are_of_parsers_that_there_are():
    for file in (HERE / "past").iterdir():
        assert past(file.stem) and file.stem in PARSERS, file


def test_same_seed_makes_the_same_inputs():
    from campaign import batches

    for name in PARSERS:
        if name != "signer":  # RSA keys are made anew, as that is quicker than to keep them
            assert list(batches(name, 20, 3)) == list(batches(name, 20, 3))


def test_every_reader_of_json_is_fuzzed():
    """A new place that reads JSON from outside wants a row here, and a parser in campaign.py."""
    known = {
        "sluice/config", "sluice/transfer/json_block", "sluice/clouds/aws_jobs",
        "sluice/clouds/aws_shadow",
        "sluice/clouds/product", "sluice/journal", "sluice/files/paths", "sluice/transfer/stream",
        "sluice/records", "sluice/trust/proofs", "sluice/clouds/aws_pending", "sluice/lastgood",
        "sluice/lastlink", "sluice/console/verbs", "sluice/console/network", "examples/app",
        "sluice/files/bundle_head", "trees", "sluice/slots/tree_record",  # these in tests/firmware
    }  # fmt: skip
    found = set()
    for file in FIRMWARE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "json.loads":
                found.add(str(file.relative_to(FIRMWARE).with_suffix("")))
    assert found <= known, found - known
