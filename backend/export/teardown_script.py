"""``teardown.sh``: takes away what carries the stack's marks, in the order in which Google lets it go.

Invariant: what does not carry the marks stays and is told of at the end, with the command that takes it away.
"""

from __future__ import annotations

from backend.export.cluster_files import rows_of
from backend.export.recipe import Recipe
from backend.export.script import Script, var
from backend.export.words import Expansion, line, quote
from backend.resources.gateway import PARTS_TIMEOUT_S
from backend.resources.iam import AGENT_ROLES, NODE_ROLES, agent
from backend.resources.network import DELETE_TIMEOUT_S
from backend.resources.services import KEPT, WANTED
from backend.spec import ClusterSpec

LONG = "1800"
IN_USE = "resourceInUse|in use|being used|resourceNotReady|not ready"
"""How Google words that something cannot go yet."""


def teardown_script(recipe: Recipe) -> str:
    """Write the script of a recipe."""
    return _Teardown(recipe).text


class _Teardown(Script):
    def __init__(self, recipe: Recipe) -> None:
        self.spec = recipe.spec
        super().__init__(recipe, _head(recipe))
        self.constants()
        self.functions("common", "teardown")
        self.section("The steps")
        question = f"Take {self.spec.name} away from project {recipe.project}?"
        self.add("needs gcloud gke-gcloud-auth-plugin kubectl", f'agreed {quote(question)} "${{1:-}}"')
        self.look()
        self.gateway()
        self.exports()
        for cluster in self.spec.clusters:
            self.objects(cluster)
        self.fleet()
        for cluster in self.spec.clusters:
            self.membership(cluster)
        self.clusters()
        for cluster in self.spec.targets:
            self.subnet(cluster)
        self.account()
        self.end()

    def look(self) -> None:
        """Find the clusters, and the way to those that can be asked."""
        self.title("Look which clusters are there")
        for cluster in self.spec.clusters:
            get = self.recipe.about(f"kubeconfig/{cluster.name}").command.partition(" ")[2]
            found = _variable(self, "found", cluster)
            self.add(
                f'{found}="$(cluster {quote(cluster.name)} {quote(cluster.region)})"',
                f'{_variable(self, "up", cluster)}=""',
                f'case "$(field 1 "${found}")" in',
                "  RUNNING | RECONCILING)",
                f"    {get}",
                f"    {_variable(self, 'up', cluster)}=yes",
                "    ;;",
                "esac",
            )

    def gateway(self) -> None:
        """The way in goes first, and its load balancer before anything it is made of."""
        config, up = self.spec.config, _variable(self, "up", self.spec.config)
        self.title("Delete the gateway, and wait until its load balancer is gone")
        gateway = quote(f"{config.name}/gateway.yaml")
        self.add(f'if [ -n "${up}" ]; then')
        for file in ("relay-pod.yaml", "relay-script.yaml"):
            self.remove(config, file)
        self.add(
            f'  others="$(foreign "$config_context" {gateway})"',
            '  balancer=""',
            '  if [ -z "$others" ]; then',
            f'    balancer="$(parts "$config_context" "$namespace" {quote(self.spec.gateway.name)})"',
            "  else",
            '    leave "$others(not marked as ours)"',
            "  fi",
        )
        self.remove(config, "gateway.yaml")
        self.add('  if [ -n "$balancer" ]; then')
        gone = [str(int(PARTS_TIMEOUT_S)), "parts_gone", var("balancer")]
        self.call("wait_until", "the load balancer is gone", *gone, indent="    ")
        self.add("  fi")
        for file in ("backend-policy.yaml", "health-policy.yaml"):
            self.remove(config, file)
        self.add("fi")

    def exports(self) -> None:
        """Withdraw the exports; the endpoint groups go with them."""
        pool = self.spec.pool.name
        self.title("Withdraw the exports")
        self.add('exports=""')
        for cluster in self.spec.targets:
            context = quote(self.recipe.context(cluster))
            at = f'{context} "$namespace" {quote(pool)}'
            unexport = [
                *("kubectl", f"--context={self.recipe.context(cluster)}", "apply", "--server-side"),
                *("--field-manager=mcig-export", "-f"),
                Expansion(f'"$here"/manifests/{quote(cluster.name)}/unexport.yaml'),
            ]
            self.add(
                f'if [ -n "${_variable(self, "up", cluster)}" ]; then',
                f"  if exported {at}; then",
                line(unexport, indent="    "),
                "  fi",
                f"  if still_exported {at}; then",
                "    exports=others",
                "  fi",
                "fi",
            )
        self.add(f'if [ -n "${_variable(self, "up", self.spec.config)}" ] && [ -z "$exports" ]; then')
        gone = ["not_imported", var("config_context"), var("namespace"), pool]
        self.call("wait_until", "the import is gone", LONG, *gone, indent="  ")
        self.add("fi")
        for cluster in self.spec.targets:
            context = quote(self.recipe.context(cluster))
            self.add(
                f'if [ -n "${_variable(self, "up", cluster)}" ] && [ -z "$exports" ]; then',
                f"  uid=\"$(kubectl --context={context} get namespace kube-system -o jsonpath='{{.metadata.uid}}')\"",
            )
            gone = ["groups_gone", var("uid"), pool]
            self.call("wait_until", f"the endpoint groups of {cluster.name} are gone", LONG, *gone, indent="  ")
            self.add("fi")

    def objects(self, cluster: ClusterSpec) -> None:
        """What is in a cluster that stays; with a cluster that goes, it goes by itself."""
        found, name = _variable(self, "found", cluster), cluster.name
        context = quote(self.recipe.context(cluster))
        self.title(f"Take what is ours out of {name}, if the cluster stays")
        self.add(
            f'if [ -n "${found}" ] && [ "$(field 2 "${found}")" != "$stack" ]; then',
            f"  leave {quote(f'cluster {name}, which was not made for this stack')}",
            f'  if [ -n "${_variable(self, "up", cluster)}" ]; then',
        )
        if cluster.is_target:
            form = Expansion('autoscaling-"$form".yaml')
            self.add("    for form in endpoints metrics; do")
            self.remove(cluster, form, indent="      ")
            self.add("    done")
        files = [file for _, file in rows_of(self.recipe, cluster)]
        files = [file for file in files if file not in {"gateway.yaml", "namespace.yaml"} and "policy" not in file]
        for file in reversed(files):
            self.remove(cluster, file, indent="    ")
        if cluster.is_target:
            self.add(f'    remove_secret {context} "$namespace"')
        if self.spec.pool.namespace != "default":
            self.remove(cluster, "namespace.yaml", indent="    ")
        self.add("  fi")
        if cluster.is_target:
            self._pool(cluster)
        self.add("fi")

    def _pool(self, cluster: ClusterSpec) -> None:
        at = f"{quote(cluster.name)} {quote(cluster.region)} {quote(cluster.serving_pool.name)}"
        self.add(f'  if [ "$(field 2 "$(pool {at})")" = "$stack" ]; then')
        words = ["gcloud", "container", "node-pools", "delete", cluster.serving_pool.name, "--quiet"]
        words += [f"--cluster={cluster.name}", f"--location={cluster.region}", f"--project={self.recipe.project}"]
        self.run(words, indent="    ")
        self.add("  fi")

    def fleet(self) -> None:
        """The fleet's controller, when it was enabled for this stack and serves nobody else."""
        self.title("Disable multi-cluster gateways, if nobody else has one")
        project = self.recipe.project
        disable = f"gcloud container fleet ingress disable --project={project}"
        self.add(
            'found="$(ingress)"',
            'others=""',
            f'if [ -n "${_variable(self, "up", self.spec.config)}" ]; then',
            '  others="$(others_served "$config_context")"',
            "fi",
            'if [ -n "$found" ] && [ "$(field 3 "$found")" = "$stack" ] && [ -z "$others" ]; then',
            f"  {disable} --quiet",
            f'  wait_until "they are disabled" {LONG} fleet_free',
            'elif [ -n "$found" ]; then',
            "  [ -z \"$others\" ] || others=\"$(printf '%s' \"$others\" | tr '\\n' ' ')needs\"",
            f'  leave "multi-cluster gateways, which ${{others:-another hand enabled}}: {disable}"',
            "fi",
        )

    def membership(self, cluster: ClusterSpec) -> None:
        """A cluster's membership, where it was made for this stack."""
        place = f"{quote(cluster.region)} {quote(cluster.name)}"
        self.title(f"Take {cluster.name} out of the fleet")
        self.add(f'found="$(membership {place})"', 'if [ "$(field 4 "$found")" = "$stack" ]; then')
        self.run(
            [
                *("gcloud", "container", "fleet", "memberships", "delete"),
                Expansion('"$(field 2 "$found")"'),
                Expansion('--location="$(field 1 "$found")"'),
                *(f"--project={self.recipe.project}", "--quiet"),
            ],
            indent="  ",
        )
        self.add(
            f"  wait_until {quote(f'{cluster.name} is out of the fleet')} {LONG} membership_gone {place}",
            'elif [ -n "$found" ]; then',
            '  leave "membership $(field 2 "$found"), which was not made for this stack"',
            "fi",
        )

    def clusters(self) -> None:
        """The clusters, side by side."""
        self.title("Delete the clusters")
        for cluster in self.spec.clusters:
            found = _variable(self, "found", cluster)
            self.add(
                f'if [ "$(field 2 "${found}")" = "$stack" ] && [ "$(field 1 "${found}")" != STOPPING ]; then',
            )
            self.run(
                [
                    *("gcloud", "container", "clusters", "delete", cluster.name, f"--location={cluster.region}"),
                    *(f"--project={self.recipe.project}", "--quiet", "--async"),
                ],
                indent="  ",
            )
            self.add("fi")
        for cluster in self.spec.clusters:
            found = _variable(self, "found", cluster)
            self.add(f'if [ "$(field 2 "${found}")" = "$stack" ]; then')
            gone = ["3600", "cluster_gone", cluster.name, cluster.region]
            self.call("wait_until", f"{cluster.name} is gone", *gone, indent="  ")
            self.call("forget", self.recipe.context(cluster), indent="  ")
            self.add("fi")

    def subnet(self, cluster: ClusterSpec) -> None:
        """A region's proxy-only subnet, where it was made for this stack and nobody else uses it."""
        region, project = cluster.region, self.recipe.project
        delete = ["gcloud", "compute", "networks", "subnets", "delete", Expansion('"$(field 1 "$found")"')]
        delete += [f"--region={region}", f"--project={project}", "--quiet"]
        self.title(f"Delete the proxy-only subnet of {region}")
        self.add(
            f'found="$(proxy_subnet {quote(region)})"',
            'if [ -n "$found" ] && ours "$(field 2 "$found")"; then',
            f"  users=\"$(subnet_users {quote(region)} | tr '\\n' ' ')\"",
            '  if [ -z "$users" ]; then',
        )
        self.call("patiently", IN_USE, str(int(DELETE_TIMEOUT_S)), *delete, indent="    ")
        self.add(
            "  else",
            f'    leave "subnet $(field 1 "$found") in {region}, which is used by $users"',
            "  fi",
            'elif [ -n "$found" ]; then',
            f'  leave "subnet $(field 1 "$found") in {region}, which was not made for this stack"',
            "fi",
        )

    def account(self) -> None:
        """The nodes' service account; its bindings first, or its name would stay in the policy."""
        self.title("Delete the nodes' service account")
        delete = ["gcloud", "iam", "service-accounts", "delete", var("node_account")]
        self.add(
            'made="$(node_account_made)"',
            'if ours "$made"; then',
            *(f"  unbind {role}" for role in NODE_ROLES),
            line([*delete, f"--project={self.recipe.project}", "--quiet"], indent="  "),
            'elif [ -n "$made" ]; then',
            '  leave "service account $node_account, which was not made for this stack"',
            "fi",
        )

    def end(self) -> None:
        """Tell what stays for others."""
        project = self.recipe.project
        member = f"serviceAccount:{agent('$number')}"
        grant = f"gcloud projects remove-iam-policy-binding {project} --member={member} --role={AGENT_ROLES[0]}"
        self.add(
            "",
            'number="$(gcloud projects describe "$project" --format=\'value(projectNumber)\')"',
            f'leave "the multi-cluster controller\'s role: {grant} --condition=None"',
            f'leave "enabled APIs: gcloud services disable {" ".join(sorted(WANTED - KEPT))} --project={project}"',
            f"step {quote(f'{self.spec.name} is gone')}",
            "printf 'What stays, because others may need it:%s\\n' \"$left\"",
        )

    def remove(self, cluster: ClusterSpec, file: str, *, indent: str = "  ") -> None:
        """Delete those of a file's objects that carry the stack's marks."""
        name = file if isinstance(file, Expansion) else quote(file)
        words = ["remove", self.recipe.context(cluster), Expansion(f"{quote(cluster.name)}/{name}")]
        self.run(words, indent=indent)

    def title(self, text: str) -> None:
        """Begin a step."""
        self.add("", f"step {quote(text)}")


def _variable(script: _Teardown, what: str, cluster: ClusterSpec) -> str:
    """Name of a shell variable about a cluster: names of clusters are none for a shell."""
    return f"{what}_{script.spec.clusters.index(cluster) + 1}"


def _head(recipe: Recipe) -> str:
    spec = recipe.spec
    return f"""
Takes {spec.name} away from Google Cloud project {recipe.project}: what ./setup.sh or `mcig apply` made.

  ./teardown.sh          asks first; ./teardown.sh --yes does not

Written by `mcig export --format gcloud`. Only what carries the marks managed-by=mcig and mcig-stack={spec.name} goes;
everything else stays and is told of at the end. It may be run again at any time, also after it was stopped.

"""
