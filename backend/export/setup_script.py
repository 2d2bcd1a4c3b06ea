"""``setup.sh``: the plan of an apply as a script for bash, gcloud and kubectl.

The gcloud commands are those that the plan shows beside its steps. What takes long is asked for in every region before
anything is waited for. Invariants: every step looks first and may be repeated; the token goes from the environment into
a pipe and nowhere else.
"""

from __future__ import annotations

from backend.export import setup_cloud as cloud
from backend.export import setup_objects as objects
from backend.export.recipe import Recipe
from backend.export.script import Script
from backend.export.words import quote
from backend.resources.manifests.relay import UPSTREAM_MARGIN_S


def setup_script(recipe: Recipe) -> str:
    """Write the script of a recipe."""
    spec = recipe.spec
    script = Script(recipe, _head(recipe))
    script.constants()
    script.add(
        f"readonly config={quote(spec.config_cluster)}",
        f"readonly config_region={quote(spec.config.region)}",
        f"readonly objective={quote(spec.objective.name)}",
        f"readonly timeout_s={spec.timeout_s + UPSTREAM_MARGIN_S}",
        'fleet_api="${CLOUDSDK_API_ENDPOINT_OVERRIDES_GKEHUB:-https://gkehub.googleapis.com/}"',
        'readonly fleet_api="${fleet_api%/}"',
        "",
    )
    script.functions("common", "setup")
    script.section("The steps")
    _begin(script)
    cloud.project_wide(script)
    for cluster in spec.targets:
        cloud.subnet(script, cluster)
    for cluster in spec.clusters:
        cloud.cluster(script, cluster)
    for cluster in spec.clusters:
        cloud.credentials(script, cluster)
    for cluster in spec.targets:
        cloud.node_pool(script, cluster)
    for cluster in spec.clusters:
        cloud.membership(script, cluster)
    cloud.fleet(script)
    for cluster in spec.clusters:
        objects.objects(script, cluster)
    for cluster in spec.targets:
        objects.serving(script, cluster)
    for cluster in spec.targets:
        objects.export(script, cluster)
    objects.gateway(script)
    objects.verify(script)
    _end(script)
    return script.text


def _begin(script: Script) -> None:
    """Look at what the script itself needs, and ask."""
    cost = f"{script.recipe.usd_per_hour:.2f} USD an hour"
    question = f"Set up {script.spec.name} in project {script.project}, for about {cost}?"
    script.add(
        "export -n HF_TOKEN 2>/dev/null || true   # other programs need not see it in their environment",
        "needs gcloud gke-gcloud-auth-plugin kubectl curl openssl",
        'private="$(mktemp -d)"',
        'proxy=""',
        'trap \'[ -z "$proxy" ] || kill "$proxy" 2>/dev/null; rm -rf "$private"\' EXIT',
        f'agreed {quote(question)} "${{1:-}}"',
    )


def _end(script: Script) -> None:
    """Tell the ways in."""
    spec = script.spec
    script.title(f"{spec.name} serves {spec.model.served_name}")
    script.add(
        "while IFS=$'\\t' read -r region address; do",
        f'  say "$region: http://$address:{spec.gateway.port}/v1 (from within the VPC network {spec.network.vpc})"',
        'done <<<"$found"',
        'say "./teardown.sh takes it all away again"',
    )


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
