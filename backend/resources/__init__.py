"""The whole recipe on one page: every row, and what it needs.

``declare`` gives the resources in the order in which a person would read them; the engine finds its own order from
their ids. Nothing is asked of any cloud here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from backend.engine.resource import Resource
from backend.resources import cluster as clusters
from backend.resources import (
    export,
    fleet,
    fleet_ingress,
    gateway,
    guardrail,
    iam,
    metrics,
    network,
    node_pool,
    pool,
    relay,
    secret,
    services,
    serving,
)
from backend.resources import kubeconfig as contexts
from backend.resources import verify as verification
from backend.resources.rollout import Rollouts
from backend.resources.sharing import OWN, Teardown
from backend.spec import GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients


def declare(
    spec: GatewaySpec,
    clients: Clients,
    *,
    hf_token: SecretStr | None = None,
    kubeconfig: Path | None = None,
    teardown: Teardown = OWN,
) -> tuple[Resource[Any], ...]:
    """Give every resource of a stack.

    ``hf_token`` is only needed where the Secret does not exist yet. Without a ``kubeconfig`` no contexts are written.
    ``teardown`` says what a destroy takes besides what was made for the stack.

    ===============================  ==============================================================================
    row                              needs
    ===============================  ==============================================================================
    services
    iam/node-sa                      services
    subnet/REGION                    services
    cluster/C                        services, iam/node-sa, subnet/REGION
    node-pool/C/POOL                 cluster/C
    kubeconfig/C                     (in cluster/C)
    secret/hf-token@C                (in cluster/C)
    membership/C                     cluster/C
    fleet-ingress                    membership of the config cluster
    iam/mci-agent                    fleet-ingress, which makes the agent
    crd/inferenceobjective@C         (in cluster/C)
    guardrail@C                      (in cluster/C; only where the spec asks for it)
    namespace@CONFIG                 (in cluster/CONFIG; only where no model server's Secret brings it)
    model-server@C                   secret/hf-token@C, node-pool/C/POOL
    pool@C                           crd/inferenceobjective@C
    objective@C                      pool@C
    export@C                         pool@C, membership/C, fleet-ingress
    metrics@C                        (in cluster/C)
    gateway                          every export@C, every subnet/REGION, iam/mci-agent
    health-policy, backend-policy    every export@C
    relay@CONFIG                     gateway
    verify                           relay@CONFIG, every model-server@C and metrics@C, health-policy, backend-policy
    ===============================  ==============================================================================
    """
    the_gateway, the_relay = gateway.gateway(spec, clients), relay.relay(spec, clients)
    rows: list[Resource[Any]] = [
        services.EnabledServices(spec, clients, teardown),
        iam.NodeAccount(spec, clients, teardown),
    ]
    rows += [network.ProxySubnet(spec, cluster, clients) for cluster in spec.targets]
    for cluster in spec.clusters:
        rows += [
            clusters.GkeCluster(spec, cluster, clients, teardown),
            fleet.Membership(spec, cluster, clients, teardown),
        ]
    rows += [fleet_ingress.FleetIngress(spec, clients), iam.IngressAgent(spec, clients, teardown)]
    if kubeconfig is not None:
        rows += [
            contexts.KubeconfigEntry(spec, cluster, clients, path=kubeconfig, teardown=teardown)
            for cluster in spec.clusters
        ]
    if spec.guardrail is not None:
        rows += [guardrail.guardrail(spec, cluster, clients) for cluster in spec.clusters]
    rows += export.config_namespace(spec, clients)
    rollouts = Rollouts()
    for cluster in spec.targets:
        rows += [
            node_pool.NodePool(spec, cluster, clients),
            secret.hf_token_secret(spec, cluster, clients, hf_token=hf_token),
            pool.objective_crd(spec, cluster, clients),
            serving.model_server(spec, cluster, clients, rollouts=rollouts),
            pool.pool(spec, cluster, clients),
            pool.objective(spec, cluster, clients),
            export.Export(spec, cluster, clients),
            metrics.metrics(spec, cluster, clients),
        ]
    rows += [
        the_gateway,
        gateway.health_policy(spec, clients),
        gateway.backend_policy(spec, clients),
        the_relay,
        verification.verify(spec, clients, the_gateway, the_relay),
    ]
    return tuple(rows)
