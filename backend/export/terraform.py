"""The export for Terraform: root modules that are applied one after the other.

A provider for a cluster cannot be configured before the cluster exists, and a plan cannot hold an object whose kind the
cluster does not know yet; so there are as many modules as there are such moments. Invariants: no token gets into a
state file; names and values are those of an apply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from backend.export.cluster_files import metrics, rows_of, usual_form
from backend.export.folder import File
from backend.export.hcl import Block, Expr, block, text
from backend.export.recipe import Recipe, yaml_text
from backend.export.terraform_cloud import cloud_blocks, module_settings, variables
from backend.resources import manifests
from backend.resources.manifests import SECRET_KEY, SECRET_NAME, Object, marked
from backend.resources.marks import labels
from backend.spec import ClusterSpec

CLOUD, KINDS, SERVING, GATEWAY = "1-cloud", "2-kinds", "3-serving", "4-gateway"
_FIRST = frozenset({"Namespace", "CustomResourceDefinition"})
_LAST = ("health-policy", "backend-policy", "gateway")

_README = """\
# {name} in Terraform

Written by `mcig export --format terraform`. One module after the other: a provider for a cluster needs the cluster,
and a plan needs the kinds of its objects. It needs Terraform 1.11 or newer, because only since then is the token kept
out of the state file.

```sh
export TF_VAR_hf_token=hf_...
{commands}
```

Taking it away goes the other way round: `terraform -chdir=... destroy`, the last module first.

Terraform keeps a state of its own: use either it or `mcig apply` on a stack. `mcig plan` looks at both.
"""


def terraform_files(recipe: Recipe) -> Iterator[File]:
    """Give the modules, and the README that says how they are applied."""
    for name, blocks in cloud_blocks(recipe).items():
        yield File(f"{CLOUD}/{name}.tf", text(blocks))
    for module, by_cluster in _objects(recipe).items():
        clusters = [cluster for cluster in recipe.spec.clusters if by_cluster.get(cluster.name)]
        yield File(f"{module}/main.tf", text(_module(recipe, clusters, token=module == SERVING)))
        for cluster in clusters:
            yield File(f"{module}/{cluster.name}.tf", text(_cluster(recipe, cluster, token=module == SERVING)))
            for name, obj in by_cluster[cluster.name].items():
                yield File(f"{module}/manifests/{cluster.name}/{name}", yaml_text([obj]))
    yield File("README.md", _readme(recipe))


def _objects(recipe: Recipe) -> dict[str, dict[str, dict[str, Object]]]:
    """Objects by module, cluster and file."""
    spec = recipe.spec
    found: dict[str, dict[str, dict[str, Object]]] = {KINDS: {}, SERVING: {}, GATEWAY: {}}
    for cluster in spec.clusters:
        objects = [(row, obj) for row, _ in rows_of(recipe, cluster) for obj in recipe.objects(row)]
        if spec.pool.namespace != "default":
            objects.insert(0, ("namespace", marked(manifests.namespace(spec), spec)))
        if cluster.is_target:
            objects.append(("metrics", metrics(recipe, usual_form(recipe))))
        for row, obj in objects:
            module = GATEWAY if row in _LAST else KINDS if obj["kind"] in _FIRST else SERVING
            files = found[module].setdefault(cluster.name, {})
            files[_file(obj)] = _exported(recipe, obj)
    return {module: by_cluster for module, by_cluster in found.items() if any(by_cluster.values())}


def _exported(recipe: Recipe, obj: Object) -> Object:
    """The object as it is applied: of the pool also the annotation that exports it."""
    if obj["kind"] != "InferencePool":
        return obj
    annotations = manifests.exported(recipe.spec)["metadata"]["annotations"]
    return obj | {"metadata": obj["metadata"] | {"annotations": annotations}}


def _file(obj: Object) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", f"{obj['kind'].lower()}-{obj['metadata']['name']}.yaml")


def _module(recipe: Recipe, clusters: Sequence[ClusterSpec], *, token: bool) -> list[Block]:
    google = {"source": "hashicorp/google", "version": ">= 6.35"}
    kubernetes = {"source": "hashicorp/kubernetes", "version": ">= 2.36"}
    blocks = [*module_settings({"google": google, "kubernetes": kubernetes}), *variables(recipe)]
    if token:
        blocks.append(
            block(
                "variable",
                "hf_token",
                type=Expr("string"),
                description="Hugging Face token of the model servers; give it as TF_VAR_hf_token.",
                sensitive=True,
                ephemeral=True,
            )
        )
    blocks.append(block("data", "google_client_config", "this"))
    for cluster in clusters:
        name = cluster.name
        blocks += [
            block(
                "data",
                "google_container_cluster",
                name,
                project=Expr("var.project"),
                name=name,
                location=cluster.region,
            ),
            block(
                "provider",
                "kubernetes",
                alias=name,
                host=Expr(f'"https://${{data.google_container_cluster.{name}.endpoint}}"'),
                token=Expr("data.google_client_config.this.access_token"),
                cluster_ca_certificate=Expr(
                    f"base64decode(data.google_container_cluster.{name}.master_auth[0].cluster_ca_certificate)"
                ),
            ),
        ]
    return blocks


def _cluster(recipe: Recipe, cluster: ClusterSpec, *, token: bool) -> Iterator[Block]:
    name = cluster.name
    files = f'"${{path.module}}/manifests/{name}"'
    if token and cluster.is_target:
        yield block(
            "resource",
            "kubernetes_secret_v1",
            f"{name}-hf-token",
            comment="Write-only: the token gets into no state file. A new one needs another revision.",
            provider=Expr(f"kubernetes.{name}"),
            data_wo=Expr(f"{{ {SECRET_KEY} = var.hf_token }}"),
            data_wo_revision=1,
            of=[
                block(
                    "metadata",
                    name=SECRET_NAME,
                    namespace=recipe.spec.pool.namespace,
                    labels=dict(labels(recipe.spec)),
                )
            ],
        )
    needs = [Expr(f"kubernetes_secret_v1.{name}-hf-token")] if token and cluster.is_target else None
    yield block(
        "resource",
        "kubernetes_manifest",
        name,
        provider=Expr(f"kubernetes.{name}"),
        for_each=Expr(f'fileset({files}, "*.yaml")'),
        manifest=Expr(f'yamldecode(file("${{path.module}}/manifests/{name}/${{each.value}}"))'),
        depends_on=needs,
        of=[block("field_manager", name="terraform")],
    )


def _readme(recipe: Recipe) -> str:
    spec = recipe.spec
    modules = [CLOUD, *_objects(recipe)]
    applied = [f"terraform -chdir={module} init && terraform -chdir={module} apply" for module in modules]
    imported = (
        f"kubectl --context={recipe.context(spec.config)} -n {spec.pool.namespace} "
        f"get gcpinferencepoolimports {spec.pool.name}"
    )
    commands = "\n".join([*applied[:-1], "# until this shows the import", imported, applied[-1]])
    return _README.format(name=spec.name, commands=commands)
