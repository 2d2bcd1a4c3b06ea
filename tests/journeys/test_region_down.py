"""What can still be said and done of a rehearsed stack while a region is down."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journeys.terminal import Terminal


@pytest.mark.long
def test_status_tells_the_rest_while_a_cluster_does_not_answer(terminal: Terminal) -> None:
    terminal.mcig("apply", "rehearsal", "--yes", "--speed", "max")
    terminal.mcig("emulator", "fault", "add", "region-down", "region=us-east4")

    status = terminal.mcig("status", "rehearsal", "--json").document
    rows: dict[str, dict[str, Any]] = {row["resource"]: row for row in status["resources"]}
    unknown = {name for name, row in rows.items() if row["state"] == "unknown"}
    assert {"secret/hf-token@gke-east", "pool@gke-east", "model-server@gke-east"} <= unknown
    assert all(name.endswith("@gke-east") for name in unknown - {"verify"})
    assert {row["state"] for name, row in rows.items() if name not in unknown} == {"ready"}
    assert "gke-east" in rows["pool@gke-east"]["reason"]
    assert {address["region"] for address in status["addresses"]} == {"europe-west3", "us-east4"}
    assert "gke-east" in status["unread"]
    told = terminal.mcig("status", "rehearsal", "--plain").out
    assert f"{len(unknown)} of {len(rows)} cannot be read" in told

    assert "on gke-east" in terminal.mcig("plan", "rehearsal", code=1).err

    terminal.mcig("emulator", "fault", "clear")
    assert {row["state"] for row in terminal.mcig("status", "rehearsal", "--json").document["resources"]} == {"ready"}

    terminal.mcig("emulator", "fault", "add", "region-down", "region=us-east4")
    destroyed = terminal.mcig("destroy", "rehearsal", "--yes", "--plain").out
    assert "goes with its cluster" in destroyed
    assert "deleted  cluster/gke-east" in destroyed
    assert "network-endpoint-groups delete" in destroyed
    left = terminal.mcig("emulator", "status", "--json").document["resources"]
    kinds = {name.partition("/")[0] for name in left}
    assert kinds == {"service", "binding", "endpoint-group"}, "what is left is what was told"
