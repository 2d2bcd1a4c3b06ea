"""The endpoint picker reads the KV-cache metric that the model servers report, whatever the chart's default is."""

from itertools import pairwise
from typing import Any

import pytest

from backend.resources.manifests.chart import epp_name, pool_objects
from backend.spec import GatewaySpec


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("vllm/vllm-openai:v0.8.5", None),
        ("vllm/vllm-openai:v0.10.2", "vllm:kv_cache_usage_perc"),
        ("vllm/vllm-openai:v0.15.1", "vllm:kv_cache_usage_perc"),
        ("vllm/vllm-openai:latest", "vllm:kv_cache_usage_perc"),
    ],
)
def test_the_picker_is_told_of_another_metric_than_its_default(spec: GatewaySpec, image: str, told: str | None) -> None:
    wanted = GatewaySpec.model_validate(spec.to_data() | {"model": {"image": image}})
    picker: dict[str, Any] = next(
        obj
        for obj in pool_objects(wanted)
        if (obj["kind"], obj["metadata"]["name"]) == ("Deployment", epp_name(spec.pool.name))
    )
    args = picker["spec"]["template"]["spec"]["containers"][0]["args"]
    given = dict(pairwise(args)).get("--kv-cache-usage-percentage-metric")
    assert given == told
