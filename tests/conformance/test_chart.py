"""The pool's objects against the real inferencepool chart, rendered by real Helm for whatever a specification may say.

Helm is the optional package ``helm-python-sdk``. The chart is not part of mcig: ``MCIG_TEST_CHART`` names its folder or
archive, which is ``config/charts/inferencepool`` at tag v1.1.0 of kubernetes-sigs/gateway-api-inference-extension; else
it is looked for beside the project. The renderings that are kept there are compared in ``test_manifests.py``.
"""

from __future__ import annotations

import os
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from backend.resources.manifests.chart import LONGEST_PART, pool_objects
from backend.resources.pool import pool
from backend.spec import GatewaySpec
from tests.backend.kubes import FakeClients
from tests.conformance.test_manifests import by_name, spec_of

helm = pytest.importorskip("helm_python", reason="Helm is not here: pip install helm-python-sdk")
BESIDE = Path(__file__).parents[2].parent / "shared" / "charts" / "inferencepool"
CHART = Path(os.environ.get("MCIG_TEST_CHART", BESIDE))
Object = dict[str, Any]

pytestmark = pytest.mark.skipif(
    not CHART.exists(), reason="the inferencepool chart v1.1.0 is not here: MCIG_TEST_CHART=FOLDER_OR_ARCHIVE"
)
LONGEST_RELEASE = 53
"""Helm takes no longer name for a release."""
LONGEST_TOGETHER = 77
"""Characters of release and namespace; the chart cuts the quotation mark off a longer name that it makes of both."""
BETWEEN = re.compile(r"(?:^|\s*\n)---\s*")
"""What Helm splits a rendered file at; the chart has a line ``---apiVersion: v1``."""


def labels(longest: int) -> st.SearchStrategy[str]:
    return st.from_regex(rf"[a-z]([-a-z0-9]{{0,{longest - 2}}}[a-z0-9])?", fullmatch=True)


def installing(spec: GatewaySpec) -> list[str]:
    """The ``helm install`` that the plan shows for the first cluster, in words."""
    row = pool(spec, spec.clusters[0], FakeClients({}).as_clients())
    return shlex.split(row.about.command)


def values(words: list[str]) -> Object:
    """What Helm reads from the command's settings, in their order."""
    merged: Object = {}
    parsers = {"--set": helm.parse_set_string, "--set-string": helm.parse_set_string_values}
    for option, parse in parsers.items():
        settings_ = ",".join(word for before, word in pairwise(words) if before == option)
        merge(merged, parse(settings_))
    return merged


def merge(into: Object, more: Object) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value


def rendered(spec: GatewaySpec) -> list[Object]:
    words = installing(spec)
    release, namespace = words[2], words[words.index("-n") + 1]
    with helm.Chart.load(CHART) as chart:
        files = chart.render(values(words), name=release, namespace=namespace)
    texts = [part for name, text in files.items() if name.endswith(".yaml") for part in BETWEEN.split(text)]
    return [found for text in texts if (found := yaml.safe_load(text))]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example("vllm-llama3-8b-instruct", "default", "vllm-llama3-8b-instruct", (8000, True, "v0.8.5"))
@example("a" * 39 + "-" + "b", "n" * 36, "true", (1, True, "v0.11.0"))
@example("a" * 53, "n" * 37, "null", (65535, False, "latest"))
@given(
    labels(LONGEST_RELEASE),
    labels(63),
    labels(63),
    st.tuples(st.integers(1, 65535), st.booleans(), st.sampled_from(["v0.8.5", "v0.10.2", "v0.11.0", "latest"])),
)
def test_the_pool_is_what_helm_would_install(
    release: str, namespace: str, app: str, rest: tuple[int, bool, str]
) -> None:
    port, monitoring, version = rest
    assume(len(release[:LONGEST_PART] + namespace[:LONGEST_PART]) <= LONGEST_TOGETHER)
    spec = spec_of(
        pool={"name": release, "namespace": namespace, "port": port, "monitoring": monitoring},
        model={"name": app, "image": f"vllm/vllm-openai:{version}"},
    )
    theirs = rendered(spec)
    for obj in theirs:
        if obj["kind"] not in {"ClusterRole", "ClusterRoleBinding"}:
            obj["metadata"].setdefault("namespace", namespace)
    assert by_name(pool_objects(spec)) == by_name(theirs)
