"""The Kubernetes kinds that a gateway is made of, and where each lives in the API.

Written out rather than discovered: a cluster's discovery costs a dozen requests, and these places never change within a
version. Pure data, so that the resources can name kinds without loading a client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object in one version."""

    group_version: str
    """``apiVersion`` of its objects, such as ``apps/v1``."""
    plural: str
    """Its name in paths, such as ``deployments``."""
    namespaced: bool = True
    name: str = ""
    """``kind`` of its objects, such as ``Deployment``."""

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Path of one object, or of the collection when there is no ``name``; no namespace means all of them."""
        parts = ["api" if "/" not in self.group_version else "apis", self.group_version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        return "/" + "/".join(parts)

    @staticmethod
    def of(obj: Mapping[str, Any]) -> Kind:
        """The kind of an object with ``apiVersion`` and ``kind``; ``KeyError`` when it is none of those below."""
        return _BY_NAME[obj["apiVersion"], obj["kind"]]


NAMESPACE = Kind("v1", "namespaces", False, "Namespace")
POD = Kind("v1", "pods", True, "Pod")
EVENT = Kind("v1", "events", True, "Event")
SERVICE = Kind("v1", "services", True, "Service")
CONFIG_MAP = Kind("v1", "configmaps", True, "ConfigMap")
SECRET = Kind("v1", "secrets", True, "Secret")
SERVICE_ACCOUNT = Kind("v1", "serviceaccounts", True, "ServiceAccount")
NODE = Kind("v1", "nodes", False, "Node")
DEPLOYMENT = Kind("apps/v1", "deployments", True, "Deployment")
JOB = Kind("batch/v1", "jobs", True, "Job")
ROLE = Kind("rbac.authorization.k8s.io/v1", "roles", True, "Role")
ROLE_BINDING = Kind("rbac.authorization.k8s.io/v1", "rolebindings", True, "RoleBinding")
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io/v1", "clusterroles", False, "ClusterRole")
CLUSTER_ROLE_BINDING = Kind("rbac.authorization.k8s.io/v1", "clusterrolebindings", False, "ClusterRoleBinding")
CUSTOM_RESOURCE_DEFINITION = Kind(
    "apiextensions.k8s.io/v1", "customresourcedefinitions", False, "CustomResourceDefinition"
)
INFERENCE_POOL = Kind("inference.networking.k8s.io/v1", "inferencepools", True, "InferencePool")
INFERENCE_OBJECTIVE = Kind("inference.networking.x-k8s.io/v1alpha2", "inferenceobjectives", True, "InferenceObjective")
GATEWAY_CLASS = Kind("gateway.networking.k8s.io/v1", "gatewayclasses", False, "GatewayClass")
GATEWAY = Kind("gateway.networking.k8s.io/v1", "gateways", True, "Gateway")
HTTP_ROUTE = Kind("gateway.networking.k8s.io/v1", "httproutes", True, "HTTPRoute")
POOL_IMPORT = Kind("networking.gke.io/v1", "gcpinferencepoolimports", True, "GCPInferencePoolImport")
MULTI_CLUSTER_INGRESS = Kind("networking.gke.io/v1", "multiclusteringresses", True, "MultiClusterIngress")
MULTI_CLUSTER_SERVICE = Kind("networking.gke.io/v1", "multiclusterservices", True, "MultiClusterService")
BACKEND_POLICY = Kind("networking.gke.io/v1", "gcpbackendpolicies", True, "GCPBackendPolicy")
HEALTH_CHECK_POLICY = Kind("networking.gke.io/v1", "healthcheckpolicies", True, "HealthCheckPolicy")
POD_MONITORING = Kind("monitoring.googleapis.com/v1", "podmonitorings", True, "PodMonitoring")
AUTOSCALING_METRIC = Kind("autoscaling.gke.io/v1beta1", "autoscalingmetrics", True, "AutoscalingMetric")
ADMISSION_POLICY = Kind(
    "admissionregistration.k8s.io/v1", "validatingadmissionpolicies", False, "ValidatingAdmissionPolicy"
)
ADMISSION_BINDING = Kind(
    "admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings", False, "ValidatingAdmissionPolicyBinding"
)

_BY_NAME = {(kind.group_version, kind.name): kind for kind in tuple(globals().values()) if isinstance(kind, Kind)}
