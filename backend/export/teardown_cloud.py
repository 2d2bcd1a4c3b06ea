"""What ``teardown.sh`` takes away by gcloud, where it carries the stack's marks."""

from __future__ import annotations

from backend.export.script import MINUTE, Script, var
from backend.export.words import Expansion, line, quote
from backend.resources.iam import NODE_ROLES
from backend.resources.network import DELETE_TIMEOUT_S
from backend.spec import ClusterSpec

IN_USE = "resourceInUse|in use|being used|resourceNotReady|not ready"
"""How Google words that something cannot go yet."""


def pool(script: Script, cluster: ClusterSpec) -> None:
    """The GPU machines of a cluster that stays, where they were made for this stack."""
    at = f"{quote(cluster.name)} {quote(cluster.region)} {quote(cluster.serving_pool.name)}"
    script.add(f'  if [ "$(field 2 "$(pool {at})")" = "$stack" ]; then')
    words = ["gcloud", "container", "node-pools", "delete", cluster.serving_pool.name, "--quiet"]
    words += [f"--cluster={cluster.name}", f"--location={cluster.region}", f"--project={script.project}"]
    script.run(words, indent="    ")
    script.add("  fi")


def fleet(script: Script) -> None:
    """The fleet's controller, when it was enabled for this stack and serves nobody else."""
    script.title("Disable multi-cluster gateways, if nobody else has one")
    project = script.project
    disable = f"gcloud container fleet ingress disable --project={project}"
    script.add(
        'found="$(ingress)"',
        'others=""',
        f'if [ -n "${script.variable("up", script.spec.config)}" ]; then',
        '  others="$(others_served "$config_context")"',
        "fi",
        'if [ -n "$found" ] && [ "$(field 3 "$found")" = "$stack" ] && [ -z "$others" ]; then',
        f"  {disable} --quiet",
        f'  wait_until "they are disabled" {30 * MINUTE} fleet_free',
        'elif [ -n "$found" ]; then',
        "  [ -z \"$others\" ] || others=\"$(printf '%s' \"$others\" | tr '\\n' ' ')needs\"",
        f'  leave "multi-cluster gateways, which ${{others:-another hand enabled}}: {disable}"',
        "fi",
    )


def membership(script: Script, cluster: ClusterSpec) -> None:
    """A cluster's membership, where it was made for this stack."""
    place = f"{quote(cluster.region)} {quote(cluster.name)}"
    script.title(f"Take {cluster.name} out of the fleet")
    script.add(f'found="$(membership {place})"', 'if [ "$(field 4 "$found")" = "$stack" ]; then')
    script.run(
        [
            *("gcloud", "container", "fleet", "memberships", "delete"),
            Expansion('"$(field 2 "$found")"'),
            Expansion('--location="$(field 1 "$found")"'),
            *(f"--project={script.project}", "--quiet"),
        ],
        indent="  ",
    )
    script.add(
        f"  wait_until {quote(f'{cluster.name} is out of the fleet')} {30 * MINUTE} membership_gone {place}",
        'elif [ -n "$found" ]; then',
        '  leave "membership $(field 2 "$found"), which was not made for this stack"',
        "fi",
    )


def clusters(script: Script) -> None:
    """The clusters, side by side."""
    script.title("Delete the clusters")
    for cluster in script.spec.clusters:
        found = script.variable("found", cluster)
        script.add(
            f'if [ "$(field 2 "${found}")" = "$stack" ] && [ "$(field 1 "${found}")" != STOPPING ]; then',
        )
        script.run(
            [
                *("gcloud", "container", "clusters", "delete", cluster.name, f"--location={cluster.region}"),
                *(f"--project={script.project}", "--quiet", "--async"),
            ],
            indent="  ",
        )
        script.add("fi")
    for cluster in script.spec.clusters:
        found = script.variable("found", cluster)
        script.add(f'if [ "$(field 2 "${found}")" = "$stack" ]; then')
        gone = ["3600", "cluster_gone", cluster.name, cluster.region]
        script.call("wait_until", f"{cluster.name} is gone", *gone, indent="  ")
        script.call("forget", script.recipe.context(cluster), indent="  ")
        script.add("fi")


def subnet(script: Script, cluster: ClusterSpec) -> None:
    """A region's proxy-only subnet, where it was made for this stack and nobody else uses it."""
    region, project = cluster.region, script.project
    delete = ["gcloud", "compute", "networks", "subnets", "delete", Expansion('"$(field 1 "$found")"')]
    delete += [f"--region={region}", f"--project={project}", "--quiet"]
    script.title(f"Delete the proxy-only subnet of {region}")
    script.add(
        f'found="$(proxy_subnet {quote(region)})"',
        'if [ -n "$found" ] && ours "$(field 2 "$found")"; then',
        f"  users=\"$(subnet_users {quote(region)} | tr '\\n' ' ')\"",
        '  if [ -z "$users" ]; then',
    )
    script.call("patiently", IN_USE, str(int(DELETE_TIMEOUT_S)), *delete, indent="    ")
    script.add(
        "  else",
        f'    leave "subnet $(field 1 "$found") in {region}, which is used by $users"',
        "  fi",
        'elif [ -n "$found" ]; then',
        f'  leave "subnet $(field 1 "$found") in {region}, which was not made for this stack"',
        "fi",
    )


def account(script: Script) -> None:
    """The nodes' service account; its bindings first, or its name would stay in the policy."""
    script.title("Delete the nodes' service account")
    delete = ["gcloud", "iam", "service-accounts", "delete", var("node_account")]
    script.add(
        'made="$(node_account_made)"',
        'if ours "$made"; then',
        *(f"  unbind {role}" for role in NODE_ROLES),
        line([*delete, f"--project={script.project}", "--quiet"], indent="  "),
        'elif [ -n "$made" ]; then',
        '  leave "service account $node_account, which was not made for this stack"',
        "fi",
    )
