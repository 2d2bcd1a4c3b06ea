"""Commands of the document with places for names, as a person types them."""

from __future__ import annotations

from tests.conformance.tools import Tools

CREATE = (
    "gcloud container clusters create {name} --region {region} --gateway-api=standard --release-channel rapid "
    "--cluster-version=1.34.1-gke.1127000 --machine-type=c2-standard-16 --disk-type=pd-standard "
    "--enable-managed-prometheus --monitoring=SYSTEM,DCGM --hpa-profile=performance"
)
POOL = (
    "gcloud container node-pools create {pool} --cluster={name} --location={region} --node-locations={zone} "
    "--accelerator type=nvidia-h100-80gb,count=2,gpu-driver-version=latest --machine-type=a3-highgpu-2g "
    "--num-nodes=3 --spot"
)
SUBNET = (
    "gcloud compute networks subnets create {subnet} --purpose=GLOBAL_MANAGED_PROXY --role=ACTIVE --region={region} "
    "--network=default --range={cidr}"
)


def create(tools: Tools, name: str = "gke-west", region: str = "europe-west3") -> None:
    tools.gcloud(CREATE.format(name=name, region=region) + " --async").ok()
