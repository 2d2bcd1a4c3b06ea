"""The whole recipe on one page: every row, and what it needs.

``declare`` gives the resources in the order in which a person would read them; the engine finds its own order from
their ids. Nothing is asked of any cloud here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from backend.engine.resource import Resource
from backend.resources import cluster as clusters
from backend.resources import fleet, fleet_ingress, gateway, network, node_pool, pool, relay, services, serving
from backend.resources import verify as verification
from backend.spec import GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients


def declare(spec: GatewaySpec, clients: Clients, *, hf_token: SecretStr | None = None) -> tuple[Resource[Any], ...]:
    """Give every resource of a stack; ``hf_token`` is only needed where the Secret does not exist yet.

    ===============================  ==============================================================================
    row                              needs
    ===============================  ==============================================================================
    services
    subnet/REGION                    services
    cluster/C                        services, subnet/REGION
    node-pool/C/POOL                 cluster/C
    secret/hf-token@C                (in cluster/C)
    membership/C                     cluster/C
    fleet-ingress                    membership of the config cluster
    crd/inferenceobjective@C         (in cluster/C)
    model-server@C                   secret/hf-token@C, node-pool/C/POOL
    pool@C                           crd/inferenceobjective@C
    objective@C                      pool@C
    export@C                         pool@C, membership/C, fleet-ingress
    gateway                          every export@C, every subnet/REGION
    health-policy, backend-policy    every export@C
    relay@CONFIG                     gateway
    verify                           relay@CONFIG, every model-server@C, health-policy, backend-policy
    ===============================  ==============================================================================

    Not rows yet: iam/node-sa, iam/mci-agent, kubeconfig/C, guardrail@C, and metrics@C, without which CUSTOM_METRICS has
    nothing to balance by on the real cloud.
    """
    the_gateway = gateway.gateway(spec, clients)
    rows: list[Resource[Any]] = [services.EnabledServices(spec, clients)]
    rows += [network.ProxySubnet(spec, cluster, clients) for cluster in spec.targets]
    for cluster in spec.clusters:
        rows += [clusters.GkeCluster(spec, cluster, clients), fleet.Membership(spec, cluster, clients)]
    rows.append(fleet_ingress.FleetIngress(spec, clients))
    for cluster in spec.targets:
        rows += [
            node_pool.NodePool(spec, cluster, clients),
            serving.hf_token_secret(spec, cluster, clients, hf_token=hf_token),
            pool.objective_crd(spec, cluster, clients),
            serving.model_server(spec, cluster, clients),
            pool.pool(spec, cluster, clients),
            pool.objective(spec, cluster, clients),
            pool.Export(spec, cluster, clients),
        ]
    rows += [
        the_gateway,
        gateway.health_policy(spec, clients),
        gateway.backend_policy(spec, clients),
        relay.relay(spec, clients),
        verification.verify(spec, clients, the_gateway),
    ]
    return tuple(rows)
