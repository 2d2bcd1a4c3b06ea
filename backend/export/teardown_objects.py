"""What ``teardown.sh`` takes out of the clusters by kubectl: the way in first, then what stays with no cluster."""

from __future__ import annotations

from backend.export.cluster_files import rows_of
from backend.export.script import MINUTE, Script, var
from backend.export.teardown_cloud import pool as remove_pool
from backend.export.words import Expansion, line, quote
from backend.resources.gateway import PARTS_TIMEOUT_S
from backend.spec import ClusterSpec


def gateway(script: Script) -> None:
    """The way in goes first, and its load balancer before anything it is made of."""
    config, up = script.spec.config, script.variable("up", script.spec.config)
    script.title("Delete the gateway, and wait until its load balancer is gone")
    file = quote(f"{config.name}/gateway.yaml")
    script.add(f'if [ -n "${up}" ]; then')
    for relay in ("relay-pod.yaml", "relay-script.yaml"):
        _remove(script, config, relay)
    script.add(
        f'  others="$(foreign "$config_context" {file})"',
        '  balancer=""',
        '  if [ -z "$others" ]; then',
        f'    balancer="$(parts "$config_context" "$namespace" {quote(script.spec.gateway.name)})"',
        "  else",
        '    leave "$others(not marked as ours)"',
        "  fi",
    )
    _remove(script, config, "gateway.yaml")
    script.add('  if [ -n "$balancer" ]; then')
    gone = [str(int(PARTS_TIMEOUT_S)), "parts_gone", var("balancer")]
    script.call("wait_until", "the load balancer is gone", *gone, indent="    ")
    script.add("  fi")
    for policy in ("backend-policy.yaml", "health-policy.yaml"):
        _remove(script, config, policy)
    script.add("fi")


def exports(script: Script) -> None:
    """Withdraw the exports; the endpoint groups go with them."""
    pool = script.spec.pool.name
    script.title("Withdraw the exports")
    script.add('exports=""')
    for cluster in script.spec.targets:
        context = quote(script.recipe.context(cluster))
        at = f'{context} "$namespace" {quote(pool)}'
        unexport = [
            *("kubectl", f"--context={script.recipe.context(cluster)}", "apply", "--server-side"),
            *("--field-manager=mcig-export", "-f"),
            Expansion(f'"$here"/manifests/{quote(cluster.name)}/unexport.yaml'),
        ]
        script.add(
            f'if [ -n "${script.variable("up", cluster)}" ]; then',
            f"  if exported {at}; then",
            line(unexport, indent="    "),
            "  fi",
            f"  if still_exported {at}; then",
            "    exports=others",
            "  fi",
            "fi",
        )
    script.add(f'if [ -n "${script.variable("up", script.spec.config)}" ] && [ -z "$exports" ]; then')
    gone = ["not_imported", var("config_context"), var("namespace"), pool]
    script.call("wait_until", "the import is gone", str(30 * MINUTE), *gone, indent="  ")
    script.add("fi")
    for cluster in script.spec.targets:
        context = quote(script.recipe.context(cluster))
        script.add(
            f'if [ -n "${script.variable("up", cluster)}" ] && [ -z "$exports" ]; then',
            f"  uid=\"$(kubectl --context={context} get namespace kube-system -o jsonpath='{{.metadata.uid}}')\"",
        )
        gone = ["groups_gone", var("uid"), pool]
        script.call(
            "wait_until", f"the endpoint groups of {cluster.name} are gone", str(30 * MINUTE), *gone, indent="  "
        )
        script.add("fi")


def objects(script: Script, cluster: ClusterSpec) -> None:
    """What is in a cluster that stays; with a cluster that goes, it goes by itself."""
    found, name = script.variable("found", cluster), cluster.name
    context = quote(script.recipe.context(cluster))
    script.title(f"Take what is ours out of {name}, if the cluster stays")
    script.add(
        f'if [ -n "${found}" ] && [ "$(field 2 "${found}")" != "$stack" ]; then',
        f"  leave {quote(f'cluster {name}, which was not made for this stack')}",
        f'  if [ -n "${script.variable("up", cluster)}" ]; then',
    )
    if cluster.is_target:
        form = Expansion('autoscaling-"$form".yaml')
        script.add("    for form in endpoints metrics; do")
        _remove(script, cluster, form, indent="      ")
        script.add("    done")
    files = [file for _, file in rows_of(script.recipe, cluster)]
    files = [file for file in files if file not in {"gateway.yaml", "namespace.yaml"} and "policy" not in file]
    for file in reversed(files):
        _remove(script, cluster, file, indent="    ")
    if cluster.is_target:
        script.add(f'    remove_secret {context} "$namespace"')
    if script.spec.pool.namespace != "default":
        _remove(script, cluster, "namespace.yaml", indent="    ")
    script.add("  fi")
    if cluster.is_target:
        remove_pool(script, cluster)
    script.add("fi")


def _remove(script: Script, cluster: ClusterSpec, file: str, *, indent: str = "  ") -> None:
    """Delete those of a file's objects that carry the stack's marks."""
    name = file if isinstance(file, Expansion) else quote(file)
    words = ["remove", script.recipe.context(cluster), Expansion(f"{quote(cluster.name)}/{name}")]
    script.run(words, indent=indent)
