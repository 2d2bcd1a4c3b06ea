"""The export as plain manifests: a folder with a kustomization for each cluster.

Parts that can only be applied one after the other are folders of their own: ``crds``, ``serving`` and, on the config
cluster, ``gateway``; the cluster's own kustomization holds them all. Invariant: the token is in none of them, and the
README says how the Secret is made.
"""

from __future__ import annotations

from collections.abc import Iterator

from backend.export.cluster_files import METRIC_FILES, metrics, rows_of, usual_form
from backend.export.folder import File
from backend.export.recipe import Recipe, yaml_text
from backend.resources import manifests
from backend.resources.manifests import marked
from backend.spec import ClusterSpec

CRDS, SERVING, GATEWAY = "crds", "serving", "gateway"
_PARTS = {"namespace.yaml": CRDS, "crd-inferenceobjective.yaml": CRDS, "guardrail.yaml": CRDS} | {
    f"{row}.yaml": GATEWAY for row in ("health-policy", "backend-policy", "gateway")
}

_BEFORE = """\
# {name}: Kubernetes objects

Written by `mcig export --format manifests`. The clusters, their GPU machines, fleet memberships and the multi-cluster
controller are there already: `mcig plan --json` shows the commands, and what `mcig export --format gcloud` or
`terraform` writes makes them.

Each cluster has a folder; `kubectl kustomize` prints what is in it. Apply the parts in this order, because a cluster
must know a kind before it takes an object of it, and a route needs its import:

"""
_AFTER = """
The AutoscalingMetric has another shape from GKE 1.35 on. The file that ends in `.other` has the shape that is not
listed in the kustomization; exchange the two where `kubectl explain autoscalingmetric.spec` shows the other one.
"""


def kustomize_files(recipe: Recipe) -> Iterator[File]:
    """Give a folder for each cluster, and the README that says in which order they are applied."""
    for cluster in recipe.spec.clusters:
        parts = _parts(recipe, cluster)
        for part, files in parts.items():
            for name, text in files.items():
                yield File(f"{cluster.name}/{part}/{name}", text)
            yield File(f"{cluster.name}/{part}/kustomization.yaml", _kustomization(files))
        yield File(f"{cluster.name}/kustomization.yaml", _kustomization(parts))
    yield File("README.md", _readme(recipe))


def _parts(recipe: Recipe, cluster: ClusterSpec) -> dict[str, dict[str, str]]:
    """Files of a cluster by the folder that they go into, in the order in which the folders are applied."""
    spec = recipe.spec
    parts: dict[str, dict[str, str]] = {CRDS: {}, SERVING: {}, GATEWAY: {}}
    if spec.pool.namespace != "default":
        parts[CRDS]["namespace.yaml"] = yaml_text([marked(manifests.namespace(spec), spec)])
    for row, name in rows_of(recipe, cluster):
        text = yaml_text(recipe.objects(row), head=f"{recipe.about(row).title}.")
        parts[_PARTS.get(name, SERVING)].setdefault(name, text)
    if cluster.is_target:
        form = usual_form(recipe)
        for one, name in METRIC_FILES.items():
            text = yaml_text([metrics(recipe, one)])
            parts[SERVING][name if one is form else f"{name}.other"] = text
        parts[SERVING]["export.patch.yaml"] = yaml_text([manifests.exported(spec)])
    return {part: files for part, files in parts.items() if files}


def _kustomization(names: dict[str, str] | dict[str, dict[str, str]]) -> str:
    resources = [name for name in names if not name.endswith((".patch.yaml", ".other"))]
    wanted: dict[str, object] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": resources,
    }
    if patches := [{"path": name} for name in names if name.endswith(".patch.yaml")]:
        wanted["patches"] = patches
    return yaml_text([wanted])


def _readme(recipe: Recipe) -> str:
    spec = recipe.spec
    lines = [*_BEFORE.format(name=spec.name).splitlines(), "```sh"]
    for cluster in spec.clusters:
        lines += [_apply(recipe, cluster, part) for part in _parts(recipe, cluster) if part == CRDS]
    lines += [
        "# the token of the model servers, read from HF_TOKEN and passed on by a pipe",
        *(recipe.about(f"secret/hf-token@{cluster.name}").command for cluster in spec.targets),
    ]
    lines += [_apply(recipe, cluster, SERVING) for cluster in spec.targets]
    config = recipe.context(spec.config)
    lines += [
        "# until this shows the import",
        f"kubectl --context={config} -n {spec.pool.namespace} get gcpinferencepoolimports {spec.pool.name}",
        _apply(recipe, spec.config, GATEWAY),
        f"kubectl --context={config} -n {spec.pool.namespace} get gateway {spec.gateway.name}",
        "```",
        *_AFTER.splitlines(),
    ]
    return "\n".join(lines) + "\n"


def _apply(recipe: Recipe, cluster: ClusterSpec, part: str) -> str:
    return f"kubectl --context={recipe.context(cluster)} apply --server-side -k {cluster.name}/{part}"
