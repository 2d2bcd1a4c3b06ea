"""``teardown.sh``: takes away what carries the stack's marks, in the order in which Google lets it go.

Invariant: what does not carry the marks stays and is told of at the end, with the command that takes it away.
"""

from __future__ import annotations

from backend.export import teardown_cloud as cloud
from backend.export import teardown_objects as objects
from backend.export.recipe import Recipe
from backend.export.script import Script
from backend.export.words import quote
from backend.resources.iam import AGENT_ROLES, agent
from backend.resources.services import KEPT, WANTED


def teardown_script(recipe: Recipe) -> str:
    """Write the script of a recipe."""
    spec = recipe.spec
    script = Script(recipe, _head(recipe))
    script.constants()
    script.functions("common", "teardown")
    script.section("The steps")
    question = f"Take {spec.name} away from project {recipe.project}?"
    script.add("needs gcloud gke-gcloud-auth-plugin kubectl", f'agreed {quote(question)} "${{1:-}}"')
    _look(script)
    objects.gateway(script)
    objects.exports(script)
    for cluster in spec.clusters:
        objects.objects(script, cluster)
    cloud.fleet(script)
    for cluster in spec.clusters:
        cloud.membership(script, cluster)
    cloud.clusters(script)
    for cluster in spec.targets:
        cloud.subnet(script, cluster)
    cloud.account(script)
    _end(script)
    return script.text


def _look(script: Script) -> None:
    """Find the clusters, and the way to those that can be asked."""
    script.title("Look which clusters are there")
    for cluster in script.spec.clusters:
        get = script.recipe.about(f"kubeconfig/{cluster.name}").command.partition(" ")[2]
        found = script.variable("found", cluster)
        script.add(
            f'{found}="$(cluster {quote(cluster.name)} {quote(cluster.region)})"',
            f'{script.variable("up", cluster)}=""',
            f'case "$(field 1 "${found}")" in',
            "  RUNNING | RECONCILING)",
            f"    {get}",
            f"    {script.variable('up', cluster)}=yes",
            "    ;;",
            "esac",
        )


def _end(script: Script) -> None:
    """Tell what stays for others."""
    project = script.project
    member = f"serviceAccount:{agent('$number')}"
    grant = f"gcloud projects remove-iam-policy-binding {project} --member={member} --role={AGENT_ROLES[0]}"
    script.add(
        "",
        'number="$(gcloud projects describe "$project" --format=\'value(projectNumber)\')"',
        f'leave "the multi-cluster controller\'s role: {grant} --condition=None"',
        f'leave "enabled APIs: gcloud services disable {" ".join(sorted(WANTED - KEPT))} --project={project}"',
        f"step {quote(f'{script.spec.name} is gone')}",
        "printf 'What stays, because others may need it:%s\\n' \"$left\"",
    )


def _head(recipe: Recipe) -> str:
    spec = recipe.spec
    return f"""
Takes {spec.name} away from Google Cloud project {recipe.project}: what ./setup.sh or `mcig apply` made.

  ./teardown.sh          asks first; ./teardown.sh --yes does not

Written by `mcig export --format gcloud`. Only what carries the marks managed-by=mcig and mcig-stack={spec.name} goes;
everything else stays and is told of at the end. It may be run again at any time, also after it was stopped.

"""
