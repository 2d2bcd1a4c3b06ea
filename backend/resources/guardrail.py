"""The row ``guardrail@CLUSTER``: compute classes kept to some namespaces, for those who ask for it.

The document prints this block among the steps of another thing. Invariant: it goes in only where the spec names the
namespaces and classes, in the order ConfigMap, policy, binding, and out in the opposite one: a binding whose ConfigMap
is missing would refuse every Pod.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend import catalog
from backend.engine.resource import About, Departure
from backend.resources.keys import kubectl
from backend.resources.objects import KubeObjects
from backend.spec import ClusterSpec, GatewaySpec, Guardrail

if TYPE_CHECKING:
    from backend.clients import Clients

Object = dict[str, Any]

MANAGER = "mcig-guardrail"
POLICY, BINDING, PARAMETERS = "restrict-toleration", "restrict-toleration-binding", "allowed-ccc-namespaces"
"""The document's own names."""
NAMESPACE = "default"
"""Where the document keeps the parameters."""
_TOLERATES = (
    "has(object.spec.tolerations) && object.spec.tolerations.exists(t, "
    "has(t.key) && t.key == 'cloud.google.com/compute-class' && "
    "(!has(t.value) || params.data.computeClasses.split('\\n').exists(c, c == t.value)))"
)
"""CEL: the Pod tolerates one of the classes, by name or all of them at once."""
_PERMITTED = "params.data.namespaces.split('\\n').exists(n, n == object.metadata.namespace)"
_REFUSAL = "'Compute class toleration not permitted on workloads in namespace ' + object.metadata.namespace"


def guardrail_objects(guardrail: Guardrail) -> list[Object]:
    """The ConfigMap, the policy and its binding, in the order in which they are applied."""
    admission = "admissionregistration.k8s.io/v1"
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": PARAMETERS, "namespace": NAMESPACE},
            "data": {
                "namespaces": "\n".join(guardrail.namespaces),
                "computeClasses": "\n".join(guardrail.compute_classes),
            },
        },
        {
            "apiVersion": admission,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": POLICY},
            "spec": {
                "failurePolicy": "Fail",
                "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
                "matchConstraints": {
                    "resourceRules": [
                        {
                            "apiGroups": [""],
                            "apiVersions": ["v1"],
                            "operations": ["CREATE", "UPDATE"],
                            "resources": ["pods"],
                        }
                    ]
                },
                "matchConditions": [{"name": "match-tolerations", "expression": _TOLERATES}],
                "validations": [{"expression": _PERMITTED, "messageExpression": _REFUSAL}],
            },
        },
        {
            "apiVersion": admission,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": BINDING},
            "spec": {
                "policyName": POLICY,
                "validationActions": ["Deny"],
                "paramRef": {"name": PARAMETERS, "namespace": NAMESPACE, "parameterNotFoundAction": "Deny"},
            },
        },
    ]


def guardrail(spec: GatewaySpec, cluster: ClusterSpec, clients: Clients) -> KubeObjects:
    """The row ``guardrail@CLUSTER`` of a spec that asks for it."""
    if spec.guardrail is None:
        raise ValueError("the spec asks for no guardrail")
    kube = kubectl(clients.project, cluster)
    names, classes = ", ".join(spec.guardrail.namespaces), ", ".join(spec.guardrail.compute_classes)
    return KubeObjects(
        f"guardrail@{cluster.name}",
        spec,
        cluster,
        clients,
        manager=MANAGER,
        wanted=guardrail_objects(spec.guardrail),
        about=About(
            title=f"Keep compute classes on {cluster.name} to {names}",
            region=cluster.region,
            command=f"{kube} apply --server-side --field-manager={MANAGER} -f guardrail.yaml",
            permissions=(
                "container.configMaps.create",
                "container.configMaps.update",
                "container.validatingAdmissionPolicies.create",
                "container.validatingAdmissionPolicies.update",
                "container.validatingAdmissionPolicyBindings.create",
                "container.validatingAdmissionPolicyBindings.update",
            ),
            departures=(
                Departure(
                    document="prints a ValidatingAdmissionPolicy with example names, whose lists are never split",
                    mcig=f"applies it for {names} and {classes}, and splits the lists",
                    because="a folded text keeps both backslashes, so the guide's condition never matches a class",
                ),
            ),
            estimate_s=catalog.duration("guardrail"),
        ),
    )
