"""Mistakes get a message that names the place and the way out, the right exit code, and no traceback."""

from pathlib import Path

import pytest
import yaml

from tests.journeys.terminal import Terminal


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["apply", "rehersal", "--yes"], 2, ["rehersal", "rehearsal"]),
        (["apply", "rehearsal", "--set", "clusters[1].region=europe-west3"], 2, ["europe-west3"]),
        (["apply", "rehearsal", "--set", "clusters[0].gpu_pool.zones=[us-east4-a]"], 2, ["us-east4-a", "europe-west3"]),
        (["apply", "rehearsal", "--set", "balancing.max_utilization_percent=600"], 2, ["600", "100"]),
        (["apply", "rehearsal", "--set", "balancing.max_in_flight_requests_per_endpoint=5"], 2, ["exclude"]),
        (["apply", "rehearsal", "--set", "colour=blue"], 2, ["colour"]),
        (["apply", "rehearsal", "--set", "nonsense"], 2, ["nonsense", "path=value"]),
        (["aply"], 2, ["aply"]),
        (["apply"], 2, ["SPEC"]),
        (["emulator", "env"], 1, ["mcig emulator start"]),
        (["presets", "show", "ghost"], 2, ["ghost"]),
    ],
)
def test_a_wrong_command(terminal: Terminal, arguments: list[str], code: int, words: list[str]) -> None:
    printed = terminal.mcig(*arguments, code=code)
    assert printed.out == ""
    for word in words:
        assert word in printed.err


def test_a_wrong_file_is_told_by_line_and_key(terminal: Terminal, tmp_path: Path) -> None:
    text = terminal.mcig("presets", "show", "rehearsal").out
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("region: us-east4", "region: europe-west3"))
    line = (
        path.read_text().splitlines().index(next(s for s in path.read_text().splitlines()[::-1] if "region:" in s)) + 1
    )
    printed = terminal.mcig("plan", str(path), code=2)
    assert f"{path}:{line}" in printed.err or "mine.yaml:" in printed.err
    assert "clusters[1].region" in printed.err


def test_broken_yaml_is_told_by_line(terminal: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("name: x\nclusters: [\n  {name: a\n")
    assert "broken.yaml:" in terminal.mcig("plan", str(path), code=2).err


def test_one_cluster_is_not_enough(terminal: Terminal, tmp_path: Path) -> None:
    data = yaml.safe_load(terminal.mcig("presets", "show", "rehearsal").out)
    data["clusters"] = data["clusters"][:1]
    path = tmp_path / "one.yaml"
    path.write_text(yaml.safe_dump(data))
    printed = terminal.mcig("apply", str(path), code=2)
    assert "two or more clusters" in printed.err
