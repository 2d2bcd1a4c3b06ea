"""What ``setup.sh`` asks of Google Cloud's own APIs, by gcloud: APIs, network, clusters, machines and fleet."""

from __future__ import annotations

from backend.export.script import HOUR, MINUTE, Script, var
from backend.export.words import Expansion, command, line, quote
from backend.resources import versions
from backend.resources.fleet import INGRESS_ID
from backend.resources.iam import AGENT_ID, agent
from backend.resources.node_pool import resource_id as pool_id
from backend.resources.subnets import proposals
from backend.spec import ClusterSpec

PROPOSED = 6
"""Ranges that are tried for a proxy-only subnet, one after the other."""
CONFLICT = "conflicts with|overlaps"
"""How Google words that a range is taken."""

GRANTED_LATER = "does not exist|concurrent policy changes"
"""How Google words that an account is not known everywhere yet, or that somebody else wrote the policy just now."""


def project_wide(script: Script) -> None:
    """APIs and the nodes' service account."""
    services, account = script.recipe.about("services"), script.recipe.about("iam/node-sa")
    script.step(services)
    script.run(command(services.command))
    script.call("wait_until", "the APIs are in force everywhere", str(20 * MINUTE), "apis_answer")
    create, *grants = account.command.split("; ")
    script.step(account)
    script.add('made="$(node_account_made)"', 'if [ -z "$made" ]; then')
    script.run(command(create, more=[f"--display-name=Nodes of {script.spec.name}"]), indent="  ")
    script.add("fi")
    for grant in grants:
        script.call("patiently", GRANTED_LATER, str(5 * MINUTE), *command(grant))


def subnet(script: Script, cluster: ClusterSpec) -> None:
    """The proxy-only subnet of a cluster's region: the one that is there, else a new one in a free range."""
    about = script.recipe.about(f"subnet/{cluster.region}")
    script.step(about)
    script.add(f'found="$(proxy_subnet {quote(cluster.region)})"', 'if [ -n "$found" ]; then')
    script.add('  say "$(field 1 "$found") is there: used as it is"', "else")
    if cluster.proxy_subnet != "auto":
        script.run(command(about.command), indent="  ")
    else:
        script.add(f"  for range in {' '.join(_ranges(script, cluster))}; do")
        words = [*command(about.command, put={"--range": var("range")}), Expansion('2>"$private/said"')]
        script.add(f"    if {line(words, indent='    ').lstrip()}; then", "      break", "    fi")
        script.add(
            f'    grep -Eq {quote(CONFLICT)} "$private/said" || die "$(cat "$private/said")"',
            '    say "$range is taken"',
            "  done",
            f'  found="$(proxy_subnet {quote(cluster.region)})"',
            f'  [ -n "$found" ] || die "no free range was found for {cluster.region}: set proxy_subnet"',
        )
    script.add("fi")


def cluster(script: Script, cluster: ClusterSpec) -> None:
    """Ask for a cluster where there is none."""
    about = script.recipe.about(f"cluster/{cluster.name}")
    name, region = quote(cluster.name), quote(cluster.region)
    script.step(about)
    script.add(
        f'found="$(cluster {name} {region})"',
        'if [ "$(field 1 "$found")" = STOPPING ]; then',
        f"  wait_until {quote(f'the old {cluster.name} is gone')} {HOUR} cluster_gone {name} {region}",
        '  found=""',
        "fi",
        'if [ -z "$found" ]; then',
    )
    version = script.spec.versions.gke
    if version.startswith(">="):
        script.add(
            f'  version="$(gke_version {region} {script.spec.versions.channel.upper()} '
            f'{quote(versions.lowest(version))})"'
        )
        words = command(about.command, put={"--cluster-version": var("version")}, more=["--async"])
    else:
        words = command(about.command, more=["--async"])
    script.run(words, indent="  ")
    script.add(
        'elif [ "$(field 2 "$found")" != "$stack" ]; then',
        f'  say "{cluster.name} was not made for this stack: used as it is; mcig plan tells what it lacks"',
        "fi",
    )


def credentials(script: Script, cluster: ClusterSpec) -> None:
    """Wait for a cluster, then put its context into the kubeconfig."""
    about = script.recipe.about(f"kubeconfig/{cluster.name}")
    get = about.command.partition(" ")[2]
    script.step(about, title=f"Wait for {cluster.name} and add it to the kubeconfig")
    script.call("wait_until", f"{cluster.name} runs", str(HOUR), "cluster_runs", cluster.name, cluster.region)
    script.run(command(get))


def node_pool(script: Script, cluster: ClusterSpec) -> None:
    """Ask for a cluster's GPU machines."""
    name, region, pool = quote(cluster.name), quote(cluster.region), quote(cluster.serving_pool.name)
    about = script.recipe.about(pool_id(cluster))
    script.step(about)
    script.add(
        f'found="$(pool {name} {region} {pool})"',
        'if [ "$(field 1 "$found")" = STOPPING ]; then',
        f"  wait_until {quote(f'the old {cluster.serving_pool.name} is gone')} {HOUR} pool_gone {name} {region} {pool}",
        '  found=""',
        "fi",
        'if [ -z "$found" ]; then',
    )
    script.run(command(about.command, more=["--async"]), indent="  ")
    script.add("fi")


def membership(script: Script, cluster: ClusterSpec) -> None:
    """Register a cluster with the fleet, with this stack's marks."""
    about = script.recipe.about(f"membership/{cluster.name}")
    name, region = quote(cluster.name), quote(cluster.region)
    script.step(about)
    begun = f"membership-{cluster.name}"
    script.add(f'found="$(membership {region} {name})"', 'if [ -z "$found" ]; then')
    script.call("begin", begun, indent="  ")
    script.run(command(about.command), indent="  ")
    script.add("fi")
    ready = ["membership_ready", cluster.region, cluster.name]
    script.call("wait_until", f"{cluster.name} is in the fleet", str(20 * MINUTE), *ready)
    script.add(f"if begun {quote(begun)}; then")
    script.run(
        [
            *("gcloud", "container", "fleet", "memberships", "update", cluster.name, "--location=global"),
            f"--update-labels=managed-by=mcig,mcig-stack={script.spec.name}",
            f"--project={script.project}",
        ],
        indent="  ",
    )
    script.call("end", begun, indent="  ")
    script.add("fi")


def fleet(script: Script) -> None:
    """Turn on multi-cluster gateways, and let their controller in."""
    config, about, grant = script.spec.config, script.recipe.about(INGRESS_ID), script.recipe.about(AGENT_ID)
    script.step(about, "A fleet has one config cluster, and other gateways may depend on it: it is never moved.")
    script.add(
        f'found="$(membership {quote(config.region)} {quote(config.name)})"',
        'membership="projects/$project/locations/$(field 1 "$found")/memberships/$(field 2 "$found")"',
        'found="$(ingress)"',
        'points_at="$(field 1 "$found")"',
        'if [ -z "$found" ]; then',
    )
    words = command(about.command, put={"--config-membership": var("membership")})
    script.add(
        "  begin ingress",
        f"{line(words, indent='  ')} ||",
        '    [ -n "$(ingress)" ] || die "multi-cluster gateways could not be enabled"',
        'elif [ "${points_at#*/locations/}" != "${membership#*/locations/}" ]; then',
        '  die "the config cluster of this fleet is $points_at, not $membership"',
        "fi",
        "if begun ingress; then",
        '  patiently "409|ABORTED|in progress" 600 mark_ingress',
        "  end ingress",
        "fi",
    )
    ready = ["ingress_ready", var("config_context"), script.spec.gateway.gateway_class]
    script.call("wait_until", f"{config.name} takes multi-cluster gateways", str(20 * MINUTE), *ready)
    script.step(grant)
    number = Expansion(f'"serviceAccount:{agent("$number")}"')
    script.add('number="$(gcloud projects describe "$project" --format=\'value(projectNumber)\')"')
    words = command(grant.command, put={"--member": number})
    script.call("patiently", GRANTED_LATER, str(5 * MINUTE), *words)


def _ranges(script: Script, cluster: ClusterSpec) -> list[str]:
    """Ranges to try for a region: no two regions try the same one, and the first are those of an apply."""
    spec = script.spec
    automatic = [one.region for one in spec.targets if one.proxy_subnet == "auto"]
    fixed = [one.proxy_subnet for one in spec.targets if one.proxy_subnet != "auto"]
    rounds = [f"{region} {number}" for number in range(PROPOSED) for region in automatic]
    found = proposals(rounds, fixed)
    return [str(found[f"{cluster.region} {number}"]) for number in range(PROPOSED)]
