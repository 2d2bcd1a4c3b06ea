"""The document that mcig carries out: its printed commands and files, read from its text.

Two ways to run it: exactly as it is printed, and corrected only where a command cannot run. Placeholders become the
document's own examples in both; what it fetches from the internet comes from the copies beside the project.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.conformance.tools import SHARED

EXAMPLES = {
    "CLUSTER_1_NAME": "gke-west",
    "CLUSTER_2_NAME": "gke-east",
    "CLUSTER_1_ZONE": "europe-west3-c",
    "CLUSTER_2_ZONE": "us-east4-a",
    "CLUSTER_1_REGION": "europe-west3",
    "CLUSTER_2_REGION": "us-east4",
    "NODE_POOL_MACHINE_TYPE": "a3-highgpu-2g",
    "NODE_POOL_NAME": "h100",
    "NUM_NODES": "3",
    "GKE_VERSION": "1.34.1-gke.1127000",
    "MACHINE_TYPE": "c2-standard-16",
    "DISK_TYPE": "pd-standard",
    "PROJECT_ID": "demo-project",
    "HF_TOKEN": "hf_rehearsal",
}
"""What the document gives as an example for each placeholder; LOCATION is the region of the cluster being made."""
_RAW = "https://raw.githubusercontent.com/kubernetes-sigs/gateway-api-inference-extension/v1.1.0/config/"
COPIES = {
    f"{_RAW}crd/bases/inference.networking.x-k8s.io_inferenceobjectives.yaml": (
        SHARED / "crds/gie-v1.1.0_inference.networking.x-k8s.io_inferenceobjectives.yaml"
    ),
    f"{_RAW}manifests/vllm/gpu-deployment.yaml": SHARED / "manifests/gie-v1.1.0_vllm_gpu-deployment.yaml",
}
"""Where what the document fetches is kept."""
CHARTS = {
    "CLUSTER1_CONTEXT": SHARED / "manifests/chart-v1.1.0_inferencepool_cluster1_no-monitoring.rendered.yaml",
    "CLUSTER2_CONTEXT": SHARED / "manifests/chart-v1.1.0_inferencepool_cluster2_monitoring-gke.rendered.yaml",
}
"""What the document's `helm install` renders on each cluster."""


def text() -> str:
    """The document."""
    (path,) = (SHARED / "seed").glob("*.txt")
    return path.read_text()


def printed() -> list[str]:
    """Every gcloud, kubectl and helm command and every variable, in order, as printed but for the examples."""
    regions = iter(("europe-west3", "us-east4"))
    found = []
    for command in _commands(text()):
        location = next(regions) if "clusters create" in command else ""
        found.append(_with_examples(re.sub(r"\bLOCATION\b", location, command)))
    return found


def _with_examples(command: str) -> str:
    for placeholder, example in EXAMPLES.items():
        alone = rf"(?<![A-Z0-9_]){placeholder}(?![A-Z0-9])"
        pattern = placeholder if command.startswith("CLUSTER") else f"{alone}|{placeholder}(?=-subnet)"
        command = re.sub(pattern, example, command)
    return command


def _commands(document: str) -> Iterator[str]:
    lines = iter(document.splitlines())
    for line in lines:
        if re.match(r"\s*(gcloud|kubectl|helm) (?!CLI)|\s*(CLUSTER\d_CONTEXT|GW_IP)=", line):
            whole = line.strip()
            while whole.endswith("\\"):
                whole += f"\n{next(lines).strip()}"
            if whole.endswith("while the"):
                whole += f"\n{next(lines).strip()}"
            yield whole


def without_internet(command: str) -> str:
    """A command that fetches nothing: what the document takes from the internet comes from the copies."""
    for url, copy in COPIES.items():
        command = command.replace(url, str(copy))
    return command


def corrected() -> list[str]:
    """The same commands, corrected only where they cannot run.

    A regional cluster is found at its region; contexts are variables, and named after that region; a comment ends with
    its line; the proxy-only subnetworks come before the clusters, which would take their ranges for Pods. The chart is
    applied as it renders.
    """
    found = [without_internet(_mended(command)) for command in printed()]
    subnets = [one for one in found if "subnets create" in one]
    return subnets + [one for one in found if one not in subnets]


def _mended(command: str) -> str:
    places = r"(--location[= ]|--gke-cluster |gke_demo-project_)(\S+?-\S+?\d)-[a-c](?![a-z0-9])"
    regional = re.sub(places, r"\1\2", command)
    named = re.sub(r"(?<=-context[= ])CLUSTER", "$CLUSTER", regional)
    if match := re.match(r"helm install [\s\S]*\$(CLUSTER\d_CONTEXT)", named):
        return f"kubectl apply -f {CHARTS[match[1]]} --context=${match[1]}"
    return re.sub(r" # .*", "", named, flags=re.DOTALL)


def file(name: str, number: int = 0) -> str:
    """The content of a file that the document has one save under a name; `number` tells several of one name apart."""
    places = [match.end() for match in re.finditer(rf"arquivo (?:a seguir em um arquivo )?chamado {name}", text())]
    return _yaml(text()[places[number] :])


def timeout_policy() -> str:
    """The policy that the document shows for timeouts, without a name for its file."""
    return _yaml(text()[text().index("o manifesto a seguir define o tempo limite") :])


def _yaml(after: str) -> str:
    lines = after.splitlines()
    first = next(index for index, line in enumerate(lines) if re.match(r"\s*(---|apiVersion:|kind:)", line))
    indent = len(lines[first]) - len(lines[first].lstrip())
    kept = []
    for line in lines[first:]:
        if line.strip() and len(line) - len(line.lstrip()) < indent:
            break
        if re.match(r"\s*Para mais", line):
            break
        kept.append(line[indent:])
    return "\n".join(kept).rstrip() + "\n"
