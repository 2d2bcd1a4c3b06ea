"""A bug report of a rehearsal: all that is known of it in one file, and none of the person's secrets."""

from __future__ import annotations

import json
import stat
import zipfile
from pathlib import Path

from tests.journeys.terminal import Terminal

TOKEN = "hf_" + "aBcDeFgHiJ" * 3


def test_a_report_holds_the_clouds_state_and_no_secret(terminal: Terminal, tmp_path: Path) -> None:
    terminal.environ["HF_TOKEN"] = TOKEN
    terminal.mcig("emulator", "start", "--detach", "--speed", "max")
    terminal.mcig("emulator", "fault", "add", "hf-gated")
    terminal.mcig("apply", "rehearsal", "--yes", code=4)
    crash = tmp_path / "mcig" / "state" / "crashes" / "20260101T000000Z-1.txt"
    crash.parent.mkdir(parents=True, exist_ok=True)
    crash.write_text(
        f"Traceback\nAuthorization: Bearer {TOKEN}\nfor alice@corp.example in {terminal.environ['HOME']}/x\n"
    )

    file = tmp_path / "report.zip"
    told = terminal.mcig("support-bundle", "rehearsal", "--json", "--out", str(file)).document
    assert (told["file"], told["missing"]) == (str(file), [])
    assert {"secret of this machine", "mail address", "home folder"} <= set(told["redacted"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with zipfile.ZipFile(file) as archive:
        texts = {name.partition("/")[2]: archive.read(name).decode() for name in archive.namelist()}
    assert {one["name"] for one in told["contents"]} == set(texts) - {"README.txt"}
    emulator_token = (tmp_path / "mcig" / "emulator" / "token").read_text().strip()
    assert not [name for name, text in texts.items() if TOKEN in text or emulator_token in text or "alice" in text]
    assert any(step["action"] == "create" for step in json.loads(texts["plan.json"])["steps"])
    assert json.loads(texts["status.json"])["stack"] == "rehearsal"
    gated = {one["id"]: one["status"] for one in json.loads(texts["doctor.json"])["checks"]}
    assert gated["huggingface/model"] == "fail"
    assert "hf-gated" in texts["emulator/status.json"]
    assert "GET /container/v1" in texts["emulator/emulator.log"]

    again = terminal.mcig("support-bundle", "rehearsal", "--out", str(file), code=2)
    assert "exists already" in again.err
    people = terminal.mcig("support-bundle", "rehearsal", "--offline", "--out", str(tmp_path / "second.zip")).out
    assert "readable by you alone" in people
    assert "plan.json, status.json, doctor.json: no cloud was to be asked" in people
