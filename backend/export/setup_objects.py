"""What ``setup.sh`` puts onto the clusters, by kubectl, and what it asks through the gateway in the end."""

from __future__ import annotations

import json

from backend.export.script import HOUR, MINUTE, Script, var
from backend.export.words import Expansion, quote
from backend.resources.gateway import GATEWAY_CONDITIONS, GATEWAY_TIMEOUT_S
from backend.resources.manifests import BACKEND_POLICY_NAME, HEALTH_CHECK_POLICY_NAME
from backend.resources.manifests.chart import epp_name
from backend.resources.manifests.crd import NAME as OBJECTIVE_CRD
from backend.resources.serving import FLEX_START_TIMEOUT_S, MODEL_SERVER_TIMEOUT_S
from backend.resources.verify import MAX_TOKENS, TEXT
from backend.spec import BalancingMode, ClusterSpec, Provisioning


def objects(script: Script, cluster: ClusterSpec) -> None:
    """What a cluster can be given before its GPU machines are there."""
    context, namespace = script.recipe.context(cluster), script.spec.pool.namespace
    if namespace != "default":
        script.title(f"Create the namespace {namespace} on {cluster.name}")
        manager = "mcig-secret" if cluster.is_target else "mcig-namespace"
        _apply(script, cluster, manager, "namespace.yaml")
    if f"guardrail@{cluster.name}" in script.recipe.rows:
        _rows(script, cluster, "guardrail")
    if not cluster.is_target:
        return
    secret = script.recipe.about(f"secret/hf-token@{cluster.name}")
    script.step(secret)
    script.call("give_token", context, namespace)
    _rows(script, cluster, "crd/inferenceobjective")
    established = f"crd/{OBJECTIVE_CRD}"
    script.run(["kubectl", f"--context={context}", "wait", "--for=condition=Established", established])
    _rows(script, cluster, "model-server")
    for row, file in (("pool", "pool.yaml"), ("objective", "objective.yaml")):
        _known(script, cluster, row, file)
    about = script.recipe.about(f"metrics@{cluster.name}")
    script.step(about)
    script.call("wait_until", f"{cluster.name} knows AutoscalingMetric", str(10 * MINUTE), "knows_metrics", context)
    file = Expansion(f'{quote(cluster.name)}/autoscaling-"$(metric_form {quote(context)})".yaml')
    script.call("apply", context, script.recipe.manager(f"metrics@{cluster.name}"), file)


def serving(script: Script, cluster: ClusterSpec) -> None:
    """Wait for a cluster's machines, model servers and endpoint picker."""
    context, spec = script.recipe.context(cluster), script.spec
    pool = cluster.serving_pool
    flexible = pool.provisioning is Provisioning.FLEX_START
    script.title(f"Wait until {cluster.name} serves")
    runs = ["pool_runs", cluster.name, cluster.region, pool.name]
    script.call("wait_until", f"{pool.name} of {cluster.name} runs", str(HOUR), *runs)
    if flexible:
        script.add("# flex-start machines come when Google has them, within a day, and end after 7 days.")
    timeouts = {
        spec.model.name: FLEX_START_TIMEOUT_S if flexible else MODEL_SERVER_TIMEOUT_S,
        epp_name(spec.pool.name): 20 * MINUTE,
    }
    for name, timeout_s in timeouts.items():
        script.run(
            [
                *("kubectl", f"--context={context}", "-n", spec.pool.namespace, "rollout", "status"),
                *(f"deployment/{name}", f"--timeout={timeout_s / MINUTE:.0f}m"),
            ]
        )


def export(script: Script, cluster: ClusterSpec) -> None:
    """Export a cluster's InferencePool, and wait until the config cluster has the import."""
    script.step(script.recipe.about(f"export@{cluster.name}"))
    script.run(
        [
            *("kubectl", f"--context={script.recipe.context(cluster)}", "apply", "--server-side"),
            *("--field-manager=mcig-export", "-f"),
            Expansion(f'"$here"/manifests/{quote(cluster.name)}/export.yaml'),
        ]
    )
    imported = ["imported", var("config_context"), var("namespace"), script.spec.pool.name]
    script.call("wait_until", f"{script.spec.config_cluster} has the import", str(20 * MINUTE), *imported)


def gateway(script: Script) -> None:
    """Policies and gateway, until the load balancer stands."""
    spec, config = script.spec, script.spec.config
    at = [var("config_context"), var("namespace")]
    for row, file in (("health-policy", "healthcheckpolicy"), ("backend-policy", "gcpbackendpolicy")):
        name = HEALTH_CHECK_POLICY_NAME if row == "health-policy" else BACKEND_POLICY_NAME
        script.step(script.recipe.about(row))
        _apply(script, config, script.recipe.manager(row), f"{row}.yaml")
        attached = ["holds", *at, f"{file}.networking.gke.io/{name}", "Attached"]
        script.call("wait_until", f"{name} is attached", str(20 * MINUTE), *attached)
    script.step(script.recipe.about("gateway"))
    _apply(script, config, script.recipe.manager("gateway"), "gateway.yaml")
    long = str(int(GATEWAY_TIMEOUT_S))
    gateway = f"gateways.gateway.networking.k8s.io/{spec.gateway.name}"
    script.call("wait_until", "the gateway is programmed", long, "holds", *at, gateway, *GATEWAY_CONDITIONS)
    script.call("wait_until", "the route is taken up", long, "route_holds", *at, f"{spec.pool.name}-default")
    has = ["has_addresses", *at, spec.gateway.name, str(len(spec.regions))]
    script.call("wait_until", "every region has an address", long, *has)


def verify(script: Script) -> None:
    """Ask through every address, and look for the metric on every model server."""
    spec = script.spec
    body = json.dumps({"model": spec.model.served_name, "prompt": TEXT, "max_tokens": MAX_TOKENS})
    script.step(script.recipe.about(f"relay@{spec.config_cluster}"))
    script.add(
        f'found="$(addresses "$config_context" "$namespace" {quote(spec.gateway.name)})"',
        'targets="$(printf \'%s\\n\' "$found" | awk -v port='
        f'{spec.gateway.port} \'{{ print $2 ":" port }}\' | sort | paste -sd , -)"',
        'start_relay "$config_context" "$namespace" "$targets"',
        'kubectl --context="$config_context" proxy --unix-socket="$private/kubectl" >/dev/null &',
        "proxy=$!",
        'wait_until "kubectl proxy listens" 30 test -S "$private/kubectl"',
    )
    script.step(script.recipe.about("verify"))
    script.add(
        "while IFS=$'\\t' read -r region address; do",
        f'  wait_until "$region answers" 600 answers "$region" "$address:{spec.gateway.port}" {quote(body)}',
        'done <<<"$found"',
    )
    if spec.balancing.mode is not BalancingMode.CUSTOM_METRICS:
        return
    metric = spec.model.kv_cache_metric
    for cluster in spec.targets:
        at = [script.recipe.context(cluster), var("namespace")]
        reported = ["metric_reported", *at, spec.model.name, str(spec.pool.port), metric]
        script.call("wait_until", f"{cluster.name} reports {metric}", str(3 * MINUTE), *reported)


def _rows(script: Script, cluster: ClusterSpec, *kinds: str) -> None:
    """Apply the objects of rows whose kinds every cluster knows."""
    for kind in kinds:
        row = f"{kind}@{cluster.name}"
        script.step(script.recipe.about(row))
        _apply(script, cluster, script.recipe.manager(row), f"{kind.replace('/', '-')}.yaml")


def _known(script: Script, cluster: ClusterSpec, kind: str, file: str) -> None:
    """Apply the objects of a row once the cluster knows their kinds."""
    row, context = f"{kind}@{cluster.name}", script.recipe.context(cluster)
    script.step(script.recipe.about(row))
    knows = ["knows", context, f"{cluster.name}/{file}"]
    script.call("wait_until", f"{cluster.name} knows the kinds in {file}", str(10 * MINUTE), *knows)
    _apply(script, cluster, script.recipe.manager(row), file)


def _apply(script: Script, cluster: ClusterSpec, manager: str, file: str) -> None:
    """Apply a file of a cluster."""
    script.call("apply", script.recipe.context(cluster), manager, f"{cluster.name}/{file}")
