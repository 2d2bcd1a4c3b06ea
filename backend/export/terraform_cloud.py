"""The first module of the Terraform export: what is Google Cloud's own, from APIs to the fleet's controller.

Invariant: each resource says what the row of the recipe asks Google for; where Terraform has to know beforehand what an
apply finds out, it is a variable with the value that an empty network would get.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from backend.clients.names import INGRESS_FEATURE
from backend.export.hcl import Block, Expr, block
from backend.export.recipe import Recipe
from backend.resources.cluster_shape import COMPONENTS
from backend.resources.gke import account_id
from backend.resources.iam import AGENT_ROLES, NODE_ROLES, agent
from backend.resources.marks import labels
from backend.resources.services import WANTED
from backend.resources.subnets import GLOBAL_PROXY, ranges
from backend.spec import ClusterSpec, Provisioning

PROJECT = Expr("var.project")
NODES = Expr("google_service_account.nodes.email")
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def module_settings(providers: Mapping[str, Mapping[str, str]]) -> list[Block]:
    """What every module begins with: the versions that it needs."""
    required = {
        name: Expr(f'{{ source = "{told["source"]}", version = "{told["version"]}" }}')
        for name, told in providers.items()
    }
    return [
        block(
            "terraform",
            required_version=">= 1.11",
            of=[Block("required_providers", attributes=required)],
        ),
        block("provider", "google", project=PROJECT),
    ]


def variables(recipe: Recipe) -> list[Block]:
    """What may be another one than in the specification."""
    return [block("variable", "project", type=Expr("string"), default=recipe.project)]


def cloud_blocks(recipe: Recipe) -> dict[str, list[Block]]:
    """The module's blocks by file."""
    spec = recipe.spec
    google = {"google": {"source": "hashicorp/google", "version": ">= 6.35"}}
    return {
        "main": [*module_settings(google), *variables(recipe), *_ranges(recipe)],
        "project": _project(recipe),
        "network": [_subnet(recipe, cluster) for cluster in spec.targets],
        **{cluster.name: list(_cluster(recipe, cluster)) for cluster in spec.clusters},
        "fleet": _fleet(recipe),
    }


def _ranges(recipe: Recipe) -> list[Block]:
    found = ranges(recipe.spec, (), ())
    return [
        block(
            "variable",
            "proxy_ranges",
            comment="A free range for the load balancer's proxies in each region.",
            type=Expr("map(string)"),
            default={region: str(found[region]) for region in sorted(found)},
        )
    ]


def _project(recipe: Recipe) -> list[Block]:
    spec = recipe.spec
    return [
        block("data", "google_project", "this", project_id=PROJECT),
        block(
            "resource",
            "google_project_service",
            "apis",
            for_each=Expr("toset([\n" + "".join(f'    "{name}",\n' for name in sorted(WANTED)) + "  ])"),
            service=Expr("each.value"),
            disable_on_destroy=False,
        ),
        block(
            "resource",
            "google_service_account",
            "nodes",
            account_id=account_id(spec),
            display_name=f"Nodes of {spec.name}",
            description=recipe.description,
            depends_on=[Expr("google_project_service.apis")],
        ),
        block(
            "resource",
            "google_project_iam_member",
            "nodes",
            for_each=Expr(f"toset([{', '.join(f'{chr(34)}{role}{chr(34)}' for role in NODE_ROLES)}])"),
            project=PROJECT,
            role=Expr("each.value"),
            member=Expr("google_service_account.nodes.member"),
        ),
    ]


def _subnet(recipe: Recipe, cluster: ClusterSpec) -> Block:
    return block(
        "resource",
        "google_compute_subnetwork",
        cluster.proxy_subnet_name,
        name=cluster.proxy_subnet_name,
        region=cluster.region,
        network=recipe.spec.network.vpc,
        ip_cidr_range=Expr(f'var.proxy_ranges["{cluster.region}"]'),
        purpose=GLOBAL_PROXY,
        role="ACTIVE",
        description=recipe.description,
        depends_on=[Expr("google_project_service.apis")],
    )


def _cluster(recipe: Recipe, cluster: ClusterSpec) -> Iterable[Block]:
    spec, name, pool = recipe.spec, cluster.name, cluster.default_pool
    newest = f'data.google_container_engine_versions.{name}.release_channel_latest_version["{_channel(recipe)}"]'
    exact = not spec.versions.gke.startswith(">=")
    if not exact:
        yield block("data", "google_container_engine_versions", name, location=cluster.region)
    needs = ["google_project_service.apis", "google_project_iam_member.nodes"]
    needs += [f"google_compute_subnetwork.{one.proxy_subnet_name}" for one in spec.targets if one is cluster]
    yield block(
        "resource",
        "google_container_cluster",
        name,
        comment=f"Versions {spec.versions.gke} know the inference gateway.",
        name=name,
        location=cluster.region,
        network=spec.network.vpc,
        subnetwork=spec.network.subnetwork,
        min_master_version=spec.versions.gke if exact else Expr(newest),
        initial_node_count=pool.nodes_per_zone,
        resource_labels=dict(labels(spec)),
        deletion_protection=False,
        depends_on=list(map(Expr, needs)),
        of=[
            block("release_channel", channel=_channel(recipe)),
            block("gateway_api_config", channel="CHANNEL_STANDARD"),
            block("pod_autoscaling", hpa_profile="PERFORMANCE"),
            block("workload_identity_config", workload_pool=Expr('"${var.project}.svc.id.goog"')),
            block(
                "monitoring_config",
                enable_components=list(COMPONENTS),
                of=[block("managed_prometheus", enabled=True)],
            ),
            block(
                "node_config",
                machine_type=pool.machine_type,
                disk_type=pool.disk_type,
                resource_labels=dict(labels(spec)),
                service_account=NODES,
                oauth_scopes=[SCOPE],
                of=_metadata(),
            ),
            block("lifecycle", ignore_changes=[Expr("min_master_version"), Expr("node_config")]),
        ],
    )
    if cluster.is_target:
        yield _gpu_pool(recipe, cluster)
    yield block(
        "resource",
        "google_gke_hub_membership",
        name,
        membership_id=name,
        labels=dict(labels(spec)),
        of=[
            block(
                "endpoint",
                of=[
                    block(
                        "gke_cluster",
                        resource_link=Expr(f'"//container.googleapis.com/${{google_container_cluster.{name}.id}}"'),
                    )
                ],
            )
        ],
    )


def _gpu_pool(recipe: Recipe, cluster: ClusterSpec) -> Block:
    pool = cluster.serving_pool
    flexible = pool.provisioning is Provisioning.FLEX_START
    affinity: list[Block] = []
    if flexible:
        affinity = [block("reservation_affinity", consume_reservation_type="NO_RESERVATION")]
    elif pool.provisioning is Provisioning.RESERVATION:
        affinity = [
            block(
                "reservation_affinity",
                consume_reservation_type="SPECIFIC_RESERVATION",
                key="compute.googleapis.com/reservation-name",
                values=[pool.reservation],
            )
        ]
    most = pool.nodes * len(pool.zones)
    scaling = [block("autoscaling", total_min_node_count=0, total_max_node_count=most, location_policy="ANY")]
    return block(
        "resource",
        "google_container_node_pool",
        f"{cluster.name}-{pool.name}",
        name=pool.name,
        cluster=Expr(f"google_container_cluster.{cluster.name}.name"),
        location=cluster.region,
        node_locations=list(pool.zones),
        initial_node_count=0 if flexible else None,
        node_count=None if flexible else pool.nodes,
        of=[
            *(scaling if flexible else ()),
            block("management", auto_repair=not flexible, auto_upgrade=True),
            block("upgrade_settings", max_surge=1),
            block(
                "node_config",
                machine_type=pool.machine_type,
                spot=True if pool.provisioning is Provisioning.SPOT else None,
                flex_start=True if flexible else None,
                service_account=NODES,
                oauth_scopes=[SCOPE],
                resource_labels=dict(labels(recipe.spec)),
                of=[
                    block(
                        "guest_accelerator",
                        type=pool.accelerator,
                        count=pool.accelerators_per_node,
                        of=[block("gpu_driver_installation_config", gpu_driver_version="LATEST")],
                    ),
                    *affinity,
                    *_metadata(),
                ],
            ),
        ],
    )


def _fleet(recipe: Recipe) -> list[Block]:
    member = agent("${data.google_project.this.number}")
    return [
        block(
            "resource",
            "google_gke_hub_feature",
            INGRESS_FEATURE,
            comment="A fleet has one config cluster: where another one is set up, import the feature instead.",
            name=INGRESS_FEATURE,
            location="global",
            labels=dict(labels(recipe.spec)),
            of=[
                block(
                    "spec",
                    of=[
                        block(
                            INGRESS_FEATURE,
                            config_membership=Expr(f"google_gke_hub_membership.{recipe.spec.config_cluster}.id"),
                        )
                    ],
                )
            ],
        ),
        block(
            "resource",
            "google_project_iam_member",
            "controller",
            project=PROJECT,
            role=AGENT_ROLES[0],
            member=Expr(f'"serviceAccount:{member}"'),
            depends_on=[Expr(f"google_gke_hub_feature.{INGRESS_FEATURE}")],
        ),
    ]


def _metadata() -> list[Block]:
    return [block("workload_metadata_config", mode="GKE_METADATA")]


def _channel(recipe: Recipe) -> str:
    return recipe.spec.versions.channel.upper()
