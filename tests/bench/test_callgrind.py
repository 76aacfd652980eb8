"""What is counted is the program's, not that of the folder that it happens to run in."""

import pytest

from bench import callgrind

SCRIPT = "import os, sys\nassert sys.path == ['', '.', '.frozen'], sys.path\n"
SCRIPT += "assert os.getenv('CALLER') is None\n"
HEAP = 16 << 10


@pytest.mark.skipif(not callgrind.available(), reason=callgrind.MISSING)
def test_program_that_is_counted_knows_neither_its_folder_nor_its_caller(tmp_path, monkeypatch):
    monkeypatch.setenv("CALLER", "a name")
    (tmp_path / "script.py").write_text(SCRIPT)
    assert callgrind.instructions("i386", "script.py", tmp_path, HEAP) > 0
