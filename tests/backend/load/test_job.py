"""The Job of a load test: what it runs, what it may take, and what cannot be asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from backend.clients.kinds import JOB
from backend.emulator.serving import bench
from backend.emulator.serving.podspec import BenchWork, work_of
from backend.errors import UsageError
from backend.load import Drill, Load
from backend.load.job import NAME, job, words
from backend.resources.manifests import is_ours
from backend.spec import GatewaySpec
from tests.backend.kubes import api_server, client_of

ADDRESS = "10.156.0.7"


def of_image(spec: GatewaySpec, tag: str) -> GatewaySpec:
    data = spec.to_data()
    return GatewaySpec.model_validate(data | {"model": data["model"] | {"image": f"vllm/vllm-openai:{tag}"}})


@pytest.mark.parametrize("tag", ["v0.8.5", "v0.11.0", "nightly"])
def test_the_clients_words_are_understood_by_the_emulated_client(spec: GatewaySpec, tag: str) -> None:
    pod = job(of_image(spec, tag), Load(2.5, 10), ADDRESS)["spec"]["template"]
    work = work_of(pod, {})
    assert isinstance(work, BenchWork)
    said = bench.parser().parse_args(work.words)
    assert (said.base_url, said.model) == (f"http://{ADDRESS}", spec.model.id)
    assert (said.num_prompts, said.request_rate) == (25, 2.5)
    assert (said.random_input_len, said.random_output_len, said.ignore_eos) == (4000, 200, True)


@pytest.mark.parametrize(("there", "seen"), [("", "cpu"), ("cuda", "cuda")])
def test_an_old_client_takes_a_node_without_a_gpu_for_a_cpu(
    spec: GatewaySpec, tmp_path: Path, there: str, seen: str
) -> None:
    """The words are run in front of a package that has what they use of vLLM."""
    package = tmp_path / "vllm" / "entrypoints" / "cli"
    package.mkdir(parents=True)
    found = f"class Found:\n    device_type = {there!r}\n\n\ncurrent_platform = Found()\n"
    (tmp_path / "vllm" / "platforms.py").write_text(found)
    told = "import sys\nfrom vllm.platforms import current_platform\n\n\ndef main():\n"
    (package / "main.py").write_text(told + "    print(current_platform.device_type, *sys.argv[1:3])\n")
    python, *rest = words(of_image(spec, "v0.8.5"), Load(1, 1), ADDRESS)
    assert python == "python3"
    run = subprocess.run([sys.executable, *rest], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [seen, "bench", "serve"]


def test_another_port_is_named(spec: GatewaySpec) -> None:
    other = GatewaySpec.model_validate(spec.to_data() | {"gateway": {"port": 8080}})
    assert f"http://{ADDRESS}:8080" in words(other, Load(1, 1), ADDRESS)


def test_it_tries_once_ends_by_itself_and_holds_no_token(spec: GatewaySpec) -> None:
    made = job(spec, Load(1, 60), ADDRESS)
    assert is_ours(made, spec)
    assert made["spec"]["backoffLimit"] == 0
    assert made["spec"]["activeDeadlineSeconds"] > 60
    assert made["spec"]["ttlSecondsAfterFinished"] > 0
    pod = made["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    (container,) = pod["containers"]
    assert container["image"] == spec.model.image
    token = next(each for each in container["env"] if each["name"] == "HF_TOKEN")
    assert token == {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hf-token", "key": "token"}}}


def test_its_pods_are_none_of_the_pools(spec: GatewaySpec) -> None:
    assert job(spec, Load(1, 1), ADDRESS)["spec"]["template"]["metadata"]["labels"]["app"] != spec.model.name


async def test_an_api_server_takes_it_strictly(spec: GatewaySpec) -> None:
    async with api_server() as cluster:
        kube = client_of(cluster)
        await kube.create(job(spec, Load(1, 1), ADDRESS))
        assert await kube.get(JOB, "default", NAME) is not None
        await kube.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 0},
        {"rate": float("nan")},
        {"rate": float("inf")},
        {"seconds": -1},
        {"prompt_tokens": 0},
        {"max_tokens": 0},
    ],
)
def test_what_cannot_be_sent_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Load(**{"rate": 1.0, "seconds": 1.0} | wrong)  # type: ignore[arg-type]


def test_requests_longer_than_the_models_context_are_refused(spec: GatewaySpec) -> None:
    data = spec.to_data()
    short = GatewaySpec.model_validate(data | {"model": data["model"] | {"max_model_len": 4096}})
    with pytest.raises(UsageError, match="do not fit the model's context of 4096") as refused:
        Load(1, 1).check(short)
    assert refused.value.fix == "--prompt-tokens 3896"
    Load(1, 1, prompt_tokens=3896).check(short)


def test_requests_come_from_the_config_cluster_or_from_a_region(spec: GatewaySpec) -> None:
    assert Load(1, 1).source(spec).name == spec.config_cluster
    assert Load(1, 1, "us-east4").source(spec).name == "gke-east"
    with pytest.raises(UsageError, match="no cluster in asia-east1"):
        Load(1, 1, "asia-east1").source(spec)


def test_a_drill_needs_a_region_that_others_can_stand_in_for(spec: GatewaySpec) -> None:
    Drill("us-east4").check(spec)
    with pytest.raises(UsageError, match="no model servers in asia-east1"):
        Drill("asia-east1").check(spec)
    data = spec.to_data()
    alone = GatewaySpec.model_validate(data | {"clusters": data["clusters"][:1]})
    with pytest.raises(UsageError, match="only region"):
        Drill("europe-west3").check(alone)
    with pytest.raises(UsageError, match="too short"):
        Drill("us-east4", seconds=3)
