"""What a command loads, seen at run time: nothing heavy before it is needed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("textual", "questionary", "google", "kubernetes", "aiohttp", "grpc", "requests", "cryptography", "uvicorn")
REPORT = """
import json, sys
sys.argv = ["mcig", *json.loads(sys.argv[1])]
from tui.cli import main
try:
    code = main()
except SystemExit as stop:
    code = stop.code
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("command", [["--version"], ["-h"], ["presets", "list"], ["presets", "path"]])
def test_light_commands_load_nothing_heavy(command: list[str], tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", REPORT, json.dumps(command)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MCIG_HOME": str(tmp_path)},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout
    loaded = {name.partition(".")[0] for name in json.loads(run.stderr.splitlines()[-1])}
    assert loaded.isdisjoint(HEAVY)
