"""The manifests of a stack as files, a folder for each cluster.

Invariant: each row's objects are a file of their own, and the file's name tells the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from backend.clients.names import RELAY_POD
from backend.export.recipe import Recipe, yaml_text
from backend.resources import manifests, versions
from backend.resources.export import EXPORT_MANAGER
from backend.resources.manifests import Object, marked
from backend.resources.manifests.metrics import Form, metric
from backend.resources.manifests.relay import relay_config, relay_pod
from backend.spec import ClusterSpec

ADDRESSES = "ADDRESSES"
"""Stands in the relay's Pod for the gateway's addresses, which only a running gateway has."""
METRIC_FILES: Mapping[Form, str] = {form: f"autoscaling-{form}.yaml" for form in Form}
"""File of each shape of the AutoscalingMetric, named after the field by which a cluster's definition is known."""
_PODS_FROM = ">=1.35"
"""GKE versions whose AutoscalingMetric has the shape of Pods."""


def rows_of(recipe: Recipe, cluster: ClusterSpec) -> Iterator[tuple[str, str]]:
    """Rows of plain objects on a cluster, each with its file, in an order in which they can be applied."""
    at = f"@{cluster.name}"
    wanted = [
        (f"namespace{at}", "namespace.yaml"),
        (f"crd/inferenceobjective{at}", "crd-inferenceobjective.yaml"),
        (f"guardrail{at}", "guardrail.yaml"),
        (f"model-server{at}", "model-server.yaml"),
        (f"pool{at}", "pool.yaml"),
        (f"objective{at}", "objective.yaml"),
    ]
    if cluster.name == recipe.spec.config_cluster:
        wanted += [(row, f"{row}.yaml") for row in ("health-policy", "backend-policy", "gateway")]
    for row, file in wanted:
        if row in recipe.rows:
            yield row, file


def files_of(recipe: Recipe, cluster: ClusterSpec) -> dict[str, str]:
    """Files of a cluster for the scripts: everything that is applied to it but the token."""
    spec = recipe.spec
    files = {file: yaml_text(recipe.objects(row), head=_head(recipe, row)) for row, file in rows_of(recipe, cluster)}
    if cluster.is_target:
        if spec.pool.namespace != "default":
            files["namespace.yaml"] = yaml_text([marked(manifests.namespace(spec), spec)])
        files["export.yaml"] = yaml_text(
            [manifests.exported(spec)], head=f"Applied by the field manager {EXPORT_MANAGER}, which owns nothing else."
        )
        files["unexport.yaml"] = yaml_text(
            [manifests.exported(spec, export=False)], head="Applied by the same field manager, withdraws the export."
        )
        for form, file in METRIC_FILES.items():
            files[file] = yaml_text([metrics(recipe, form)], head=_FORMS[form])
    if cluster.name == spec.config_cluster:
        files["relay-script.yaml"] = yaml_text([marked(relay_config(spec), spec)])
        files["relay-pod.yaml"] = yaml_text(
            [marked(relay_pod(spec, [ADDRESSES]), spec)], head=f"{RELAY_POD} forwards to the gateway's addresses alone."
        )
    return files


def metrics(recipe: Recipe, form: Form) -> Object:
    """The AutoscalingMetric in one of its shapes."""
    return marked(metric(recipe.spec, form), recipe.spec)


def usual_form(recipe: Recipe) -> Form:
    """The shape of the AutoscalingMetric that clusters of the specification's version take."""
    pods = versions.satisfies(versions.lowest(recipe.spec.versions.gke), _PODS_FROM)
    return Form.PODS if pods else Form.ENDPOINTS


_FORMS: Mapping[Form, str] = {
    Form.ENDPOINTS: "The shape that GKE 1.34 takes.",
    Form.PODS: "The shape that GKE 1.35 and later take.",
}


def _head(recipe: Recipe, row: str) -> str:
    return f"{recipe.about(row).title}. Applied by the field manager {recipe.manager(row)}."
