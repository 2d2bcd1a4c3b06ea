"""``setup.sh``: the plan of an apply as a script for bash, gcloud and kubectl.

The gcloud commands are those that the plan shows beside its steps. What takes long is asked for in every region before
anything is waited for. Invariants: every step looks first and may be repeated; the token goes from the environment into
a pipe and nowhere else.
"""

from __future__ import annotations

import json

from backend.export.recipe import Recipe
from backend.export.script import Script, var
from backend.export.words import Expansion, command, line, quote
from backend.resources import versions
from backend.resources.chart import epp_name
from backend.resources.fleet import INGRESS_ID
from backend.resources.gateway import GATEWAY_CONDITIONS, GATEWAY_TIMEOUT_S
from backend.resources.iam import AGENT_ID, agent
from backend.resources.manifests import BACKEND_POLICY_NAME, HEALTH_CHECK_POLICY_NAME
from backend.resources.manifests_crd import NAME as OBJECTIVE_CRD
from backend.resources.manifests_relay import UPSTREAM_MARGIN_S
from backend.resources.node_pool import resource_id as pool_id
from backend.resources.serving import FLEX_START_TIMEOUT_S, MODEL_SERVER_TIMEOUT_S
from backend.resources.subnets import proposals
from backend.resources.verify import MAX_TOKENS, TEXT, served_name
from backend.spec import BalancingMode, ClusterSpec, Provisioning

MINUTE, HOUR = 60, 3600
PROPOSED = 6
"""Ranges that are tried for a proxy-only subnet, one after the other."""
CONFLICT = "conflicts with|overlaps"
"""How Google words that a range is taken."""

GRANTED_LATER = "does not exist|concurrent policy changes"
"""How Google words that an account is not known everywhere yet, or that somebody else wrote the policy just now."""


def setup_script(recipe: Recipe) -> str:
    """Write the script of a recipe."""
    return _Setup(recipe).text


class _Setup(Script):
    def __init__(self, recipe: Recipe) -> None:
        self.spec, self.project = recipe.spec, recipe.project
        super().__init__(recipe, _head(recipe))
        self.constants()
        self.add(
            f"readonly config={quote(self.spec.config_cluster)}",
            f"readonly config_region={quote(self.spec.config.region)}",
            f"readonly objective={quote(self.spec.objective.name)}",
            f"readonly timeout_s={self.spec.timeout_s + UPSTREAM_MARGIN_S}",
            'fleet_api="${CLOUDSDK_API_ENDPOINT_OVERRIDES_GKEHUB:-https://gkehub.googleapis.com/}"',
            'readonly fleet_api="${fleet_api%/}"',
            "",
        )
        self.functions("common", "setup")
        self.section("The steps")
        self.begin()
        self.project_wide()
        for cluster in self.spec.targets:
            self.subnet(cluster)
        for cluster in self.spec.clusters:
            self.cluster(cluster)
        for cluster in self.spec.clusters:
            self.credentials(cluster)
        for cluster in self.spec.targets:
            self.node_pool(cluster)
        for cluster in self.spec.clusters:
            self.membership(cluster)
        self.fleet()
        for cluster in self.spec.clusters:
            self.objects(cluster)
        for cluster in self.spec.targets:
            self.serving(cluster)
        for cluster in self.spec.targets:
            self.export(cluster)
        self.gateway()
        self.verify()
        self.end()

    def begin(self) -> None:
        """Look at what the script itself needs, and ask."""
        cost = f"{self.recipe.usd_per_hour:.2f} USD an hour"
        question = f"Set up {self.spec.name} in project {self.project}, for about {cost}?"
        self.add(
            "export -n HF_TOKEN 2>/dev/null || true   # other programs need not see it in their environment",
            "needs gcloud gke-gcloud-auth-plugin kubectl curl openssl",
            'private="$(mktemp -d)"',
            'proxy=""',
            'trap \'[ -z "$proxy" ] || kill "$proxy" 2>/dev/null; rm -rf "$private"\' EXIT',
            f'agreed {quote(question)} "${{1:-}}"',
        )

    def project_wide(self) -> None:
        """APIs and the nodes' service account."""
        services, account = self.recipe.about("services"), self.recipe.about("iam/node-sa")
        self.step(services)
        self.run(command(services.command))
        self.call("wait_until", "the APIs are in force everywhere", str(20 * MINUTE), "apis_answer")
        create, *grants = account.command.split("; ")
        self.step(account)
        self.add('made="$(node_account_made)"', 'if [ -z "$made" ]; then')
        self.run(command(create, more=[f"--display-name=Nodes of {self.spec.name}"]), indent="  ")
        self.add("fi")
        for grant in grants:
            self.call("patiently", GRANTED_LATER, str(5 * MINUTE), *command(grant))

    def subnet(self, cluster: ClusterSpec) -> None:
        """The proxy-only subnet of a cluster's region: the one that is there, else a new one in a free range."""
        about = self.recipe.about(f"subnet/{cluster.region}")
        self.step(about)
        self.add(f'found="$(proxy_subnet {quote(cluster.region)})"', 'if [ -n "$found" ]; then')
        self.add('  say "$(field 1 "$found") is there: used as it is"', "else")
        if cluster.proxy_subnet != "auto":
            self.run(command(about.command), indent="  ")
        else:
            self.add(f"  for range in {' '.join(self._ranges(cluster))}; do")
            words = [*command(about.command, put={"--range": var("range")}), Expansion('2>"$private/said"')]
            self.add(f"    if {line(words, indent='    ').lstrip()}; then", "      break", "    fi")
            self.add(
                f'    grep -Eq {quote(CONFLICT)} "$private/said" || die "$(cat "$private/said")"',
                '    say "$range is taken"',
                "  done",
                f'  found="$(proxy_subnet {quote(cluster.region)})"',
                f'  [ -n "$found" ] || die "no free range was found for {cluster.region}: set proxy_subnet"',
            )
        self.add("fi")

    def cluster(self, cluster: ClusterSpec) -> None:
        """Ask for a cluster where there is none."""
        about = self.recipe.about(f"cluster/{cluster.name}")
        name, region = quote(cluster.name), quote(cluster.region)
        self.step(about)
        self.add(
            f'found="$(cluster {name} {region})"',
            'if [ "$(field 1 "$found")" = STOPPING ]; then',
            f"  wait_until {quote(f'the old {cluster.name} is gone')} {HOUR} cluster_gone {name} {region}",
            '  found=""',
            "fi",
            'if [ -z "$found" ]; then',
        )
        version = self.spec.versions.gke
        if version.startswith(">="):
            self.add(
                f'  version="$(gke_version {region} {self.spec.versions.channel.upper()} '
                f'{quote(versions.lowest(version))})"'
            )
            words = command(about.command, put={"--cluster-version": var("version")}, more=["--async"])
        else:
            words = command(about.command, more=["--async"])
        self.run(words, indent="  ")
        self.add(
            'elif [ "$(field 2 "$found")" != "$stack" ]; then',
            f'  say "{cluster.name} was not made for this stack: used as it is; mcig plan tells what it lacks"',
            "fi",
        )

    def credentials(self, cluster: ClusterSpec) -> None:
        """Wait for a cluster, then put its context into the kubeconfig."""
        about = self.recipe.about(f"kubeconfig/{cluster.name}")
        get = about.command.partition(" ")[2]
        self.step(about, title=f"Wait for {cluster.name} and add it to the kubeconfig")
        self.call("wait_until", f"{cluster.name} runs", str(HOUR), "cluster_runs", cluster.name, cluster.region)
        self.run(command(get))

    def node_pool(self, cluster: ClusterSpec) -> None:
        """Ask for a cluster's GPU machines."""
        name, region, pool = quote(cluster.name), quote(cluster.region), quote(cluster.serving_pool.name)
        about = self.recipe.about(pool_id(cluster))
        self.step(about)
        self.add(
            f'found="$(pool {name} {region} {pool})"',
            'if [ "$(field 1 "$found")" = STOPPING ]; then',
            f"  wait_until {quote(f'the old {cluster.serving_pool.name} is gone')} {HOUR} "
            f"pool_gone {name} {region} {pool}",
            '  found=""',
            "fi",
            'if [ -z "$found" ]; then',
        )
        self.run(command(about.command, more=["--async"]), indent="  ")
        self.add("fi")

    def membership(self, cluster: ClusterSpec) -> None:
        """Register a cluster with the fleet, with this stack's marks."""
        about = self.recipe.about(f"membership/{cluster.name}")
        name, region = quote(cluster.name), quote(cluster.region)
        self.step(about)
        self.add(f'found="$(membership {region} {name})"', 'if [ -z "$found" ]; then')
        self.run(command(about.command), indent="  ")
        self.run(
            [
                *("gcloud", "container", "fleet", "memberships", "update", cluster.name, "--location=global"),
                f"--update-labels=managed-by=mcig,mcig-stack={self.spec.name}",
                f"--project={self.project}",
            ],
            indent="  ",
        )
        self.add("fi")
        ready = ["membership_ready", cluster.region, cluster.name]
        self.call("wait_until", f"{cluster.name} is in the fleet", str(20 * MINUTE), *ready)

    def fleet(self) -> None:
        """Turn on multi-cluster gateways, and let their controller in."""
        config, about, grant = self.spec.config, self.recipe.about(INGRESS_ID), self.recipe.about(AGENT_ID)
        self.step(about, "A fleet has one config cluster, and other gateways may depend on it: it is never moved.")
        self.add(
            f'found="$(membership {quote(config.region)} {quote(config.name)})"',
            'membership="projects/$project/locations/$(field 1 "$found")/memberships/$(field 2 "$found")"',
            'found="$(ingress)"',
            'points_at="$(field 1 "$found")"',
            'if [ -z "$found" ]; then',
        )
        words = command(about.command, put={"--config-membership": var("membership")})
        self.add(
            f"{line(words, indent='  ')} ||",
            '    [ -n "$(ingress)" ] || die "multi-cluster gateways could not be enabled"',
            '  patiently "409|ABORTED|in progress" 600 mark_ingress',
            'elif [ "${points_at#*/locations/}" != "${membership#*/locations/}" ]; then',
            '  die "the config cluster of this fleet is $points_at, not $membership"',
            "fi",
        )
        ready = ["ingress_ready", var("config_context"), self.spec.gateway.gateway_class]
        self.call("wait_until", f"{config.name} takes multi-cluster gateways", str(20 * MINUTE), *ready)
        self.step(grant)
        number = Expansion(f'"serviceAccount:{agent("$number")}"')
        self.add('number="$(gcloud projects describe "$project" --format=\'value(projectNumber)\')"')
        words = command(grant.command, put={"--member": number})
        self.call("patiently", GRANTED_LATER, str(5 * MINUTE), *words)

    def objects(self, cluster: ClusterSpec) -> None:
        """What a cluster can be given before its GPU machines are there."""
        context, namespace = self.recipe.context(cluster), self.spec.pool.namespace
        if namespace != "default":
            self.add("", f"step {quote(f'Create the namespace {namespace} on {cluster.name}')}")
            manager = "mcig-secret" if cluster.is_target else "mcig-namespace"
            self.apply(cluster, manager, "namespace.yaml")
        if f"guardrail@{cluster.name}" in self.recipe.rows:
            self.rows(cluster, "guardrail")
        if not cluster.is_target:
            return
        secret = self.recipe.about(f"secret/hf-token@{cluster.name}")
        self.step(secret)
        self.call("give_token", context, namespace)
        self.rows(cluster, "crd/inferenceobjective")
        established = f"crd/{OBJECTIVE_CRD}"
        self.run(["kubectl", f"--context={context}", "wait", "--for=condition=Established", established])
        self.rows(cluster, "model-server")
        for row, file in (("pool", "pool.yaml"), ("objective", "objective.yaml")):
            self.known(cluster, row, file)
        about = self.recipe.about(f"metrics@{cluster.name}")
        self.step(about)
        self.call("wait_until", f"{cluster.name} knows AutoscalingMetric", str(10 * MINUTE), "knows_metrics", context)
        file = Expansion(f'{quote(cluster.name)}/autoscaling-"$(metric_form {quote(context)})".yaml')
        self.call("apply", context, self.recipe.manager(f"metrics@{cluster.name}"), file)

    def serving(self, cluster: ClusterSpec) -> None:
        """Wait for a cluster's machines, model servers and endpoint picker."""
        context, spec = self.recipe.context(cluster), self.spec
        pool = cluster.serving_pool
        flexible = pool.provisioning is Provisioning.FLEX_START
        self.add("", f"step {quote(f'Wait until {cluster.name} serves')}")
        runs = ["pool_runs", cluster.name, cluster.region, pool.name]
        self.call("wait_until", f"{pool.name} of {cluster.name} runs", str(HOUR), *runs)
        if flexible:
            self.add("# flex-start machines come when Google has them, within a day, and end after 7 days.")
        timeouts = {
            spec.model.name: FLEX_START_TIMEOUT_S if flexible else MODEL_SERVER_TIMEOUT_S,
            epp_name(spec.pool.name): 20 * MINUTE,
        }
        for name, timeout_s in timeouts.items():
            self.run(
                [
                    *("kubectl", f"--context={context}", "-n", spec.pool.namespace, "rollout", "status"),
                    *(f"deployment/{name}", f"--timeout={timeout_s / MINUTE:.0f}m"),
                ]
            )

    def export(self, cluster: ClusterSpec) -> None:
        """Export a cluster's InferencePool, and wait until the config cluster has the import."""
        self.step(self.recipe.about(f"export@{cluster.name}"))
        self.run(
            [
                *("kubectl", f"--context={self.recipe.context(cluster)}", "apply", "--server-side"),
                *("--field-manager=mcig-export", "-f"),
                Expansion(f'"$here"/manifests/{quote(cluster.name)}/export.yaml'),
            ]
        )
        imported = ["imported", var("config_context"), var("namespace"), self.spec.pool.name]
        self.call("wait_until", f"{self.spec.config_cluster} has the import", str(20 * MINUTE), *imported)

    def gateway(self) -> None:
        """Policies and gateway, until the load balancer stands."""
        spec, config = self.spec, self.spec.config
        at = [var("config_context"), var("namespace")]
        for row, file in (("health-policy", "healthcheckpolicy"), ("backend-policy", "gcpbackendpolicy")):
            name = HEALTH_CHECK_POLICY_NAME if row == "health-policy" else BACKEND_POLICY_NAME
            self.step(self.recipe.about(row))
            self.apply(config, self.recipe.manager(row), f"{row}.yaml")
            attached = ["holds", *at, f"{file}.networking.gke.io/{name}", "Attached"]
            self.call("wait_until", f"{name} is attached", str(20 * MINUTE), *attached)
        self.step(self.recipe.about("gateway"))
        self.apply(config, self.recipe.manager("gateway"), "gateway.yaml")
        long = str(int(GATEWAY_TIMEOUT_S))
        gateway = f"gateways.gateway.networking.k8s.io/{spec.gateway.name}"
        self.call("wait_until", "the gateway is programmed", long, "holds", *at, gateway, *GATEWAY_CONDITIONS)
        self.call("wait_until", "the route is taken up", long, "route_holds", *at, f"{spec.pool.name}-default")
        has = ["has_addresses", *at, spec.gateway.name, str(len(spec.regions))]
        self.call("wait_until", "every region has an address", long, *has)

    def verify(self) -> None:
        """Ask through every address, and look for the metric on every model server."""
        spec = self.spec
        body = json.dumps({"model": served_name(spec), "prompt": TEXT, "max_tokens": MAX_TOKENS})
        self.step(self.recipe.about(f"relay@{spec.config_cluster}"))
        self.add(
            f'found="$(addresses "$config_context" "$namespace" {quote(spec.gateway.name)})"',
            'targets="$(printf \'%s\\n\' "$found" | awk -v port='
            f'{spec.gateway.port} \'{{ print $2 ":" port }}\' | sort | paste -sd , -)"',
            'start_relay "$config_context" "$namespace" "$targets"',
            'kubectl --context="$config_context" proxy --unix-socket="$private/kubectl" >/dev/null &',
            "proxy=$!",
            'wait_until "kubectl proxy listens" 30 test -S "$private/kubectl"',
        )
        self.step(self.recipe.about("verify"))
        self.add(
            "while IFS=$'\\t' read -r region address; do",
            f'  wait_until "$region answers" 600 answers "$region" "$address:{spec.gateway.port}" {quote(body)}',
            'done <<<"$found"',
        )
        if spec.balancing.mode is not BalancingMode.CUSTOM_METRICS:
            return
        metric = spec.model.kv_cache_metric
        for cluster in spec.targets:
            at = [self.recipe.context(cluster), var("namespace")]
            reported = ["metric_reported", *at, spec.model.name, str(spec.pool.port), metric]
            self.call("wait_until", f"{cluster.name} reports {metric}", str(3 * MINUTE), *reported)

    def end(self) -> None:
        """Tell the ways in."""
        spec = self.spec
        self.add(
            "",
            f"step {quote(f'{spec.name} serves {served_name(spec)}')}",
            "while IFS=$'\\t' read -r region address; do",
            f'  say "$region: http://$address:{spec.gateway.port}/v1 (from within the VPC network {spec.network.vpc})"',
            'done <<<"$found"',
            'say "./teardown.sh takes it all away again"',
        )

    def rows(self, cluster: ClusterSpec, *kinds: str) -> None:
        """Apply the objects of rows whose kinds every cluster knows."""
        for kind in kinds:
            row = f"{kind}@{cluster.name}"
            self.step(self.recipe.about(row))
            self.apply(cluster, self.recipe.manager(row), f"{kind.replace('/', '-')}.yaml")

    def known(self, cluster: ClusterSpec, kind: str, file: str) -> None:
        """Apply the objects of a row once the cluster knows their kinds."""
        row, context = f"{kind}@{cluster.name}", self.recipe.context(cluster)
        self.step(self.recipe.about(row))
        knows = ["knows", context, f"{cluster.name}/{file}"]
        self.call("wait_until", f"{cluster.name} knows the kinds in {file}", str(10 * MINUTE), *knows)
        self.apply(cluster, self.recipe.manager(row), file)

    def apply(self, cluster: ClusterSpec, manager: str, file: str) -> None:
        """Apply a file of a cluster."""
        self.call("apply", self.recipe.context(cluster), manager, f"{cluster.name}/{file}")

    def _ranges(self, cluster: ClusterSpec) -> list[str]:
        """Ranges to try for a region: no two regions try the same one, and the first are those of an apply."""
        spec = self.spec
        automatic = [one.region for one in spec.targets if one.proxy_subnet == "auto"]
        fixed = [one.proxy_subnet for one in spec.targets if one.proxy_subnet != "auto"]
        rounds = [f"{region} {number}" for number in range(PROPOSED) for region in automatic]
        found = proposals(rounds, fixed)
        return [str(found[f"{cluster.region} {number}"]) for number in range(PROPOSED)]


def _head(recipe: Recipe) -> str:
    spec = recipe.spec
    places = ", ".join(f"{cluster.name} in {cluster.region}" for cluster in spec.clusters)
    return f"""
Sets up {spec.name}, a multi-cluster Inference Gateway in Google Cloud project {recipe.project}:
{spec.model.id} on {places}.

  HF_TOKEN=hf_... ./setup.sh          asks first; ./setup.sh --yes does not

Written by `mcig export --format gcloud`. It may be run again at any time, also after it was stopped: every step looks
first, uses what is there and goes on from it. It costs about {recipe.usd_per_hour:.2f} USD an hour (an estimate) until
./teardown.sh is run. What it makes carries the marks managed-by=mcig and mcig-stack={spec.name}, by which `mcig plan`
takes it for its own. The Hugging Face token is read from HF_TOKEN and passed on by a pipe; it is written nowhere.

"""
