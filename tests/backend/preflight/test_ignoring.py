"""What ``--ignore`` takes: ids of checks and their beginnings, and nothing else."""

from __future__ import annotations

import pytest

from backend.errors import UsageError
from backend.preflight import check_ignored


@pytest.mark.parametrize(
    "name",
    [
        "capacity",
        "quota/us-east4",
        "quota/us-east4/PREEMPTIBLE_NVIDIA_H100_GPUS",
        "policy/compute.vmExternalIpAccess",
        "fleet/config-cluster",
        "name/cluster/gke-west",
        "local/kubeconfig",
    ],
)
def test_ids_and_their_beginnings_are_taken(name: str) -> None:
    check_ignored([name])


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("nope", "the beginning of one"),
        ("capacty", "capacity"),
        ("fleet/config-clustr", "fleet/config-cluster"),
        ("capacity/", "capacity"),
        ("price/us-east4/a3-highgpu-1g/more", "the id of a check"),
        ("", "the id of a check"),
    ],
)
def test_anything_else_is_refused_before_a_look(name: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"--ignore {name}: there is no such check") as caught:
        check_ignored(["policy", name])
    assert near in caught.value.cause
