"""Names that are taken: clusters, fleet memberships and the fleet's one config cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from backend.clients.google import Json
from backend.clients.names import INGRESS_FEATURE
from backend.preflight.check import Check, Question, unread
from backend.preflight.findings import Finding, Topic, Verdict
from backend.preflight.readings import Gap
from backend.resources import marks
from backend.spec import ClusterSpec, GatewaySpec

TOPIC = Topic.NETWORK


async def _names(question: Question) -> Sequence[Finding]:
    clusters, memberships, features, gaps = await asyncio.gather(
        question.readings.clusters(),
        question.readings.memberships(),
        question.readings.features(),
        question.readings.clusters_unread(cluster.region for cluster in question.spec.clusters),
    )
    found = list(judge_clusters([] if isinstance(clusters, Gap) else clusters, gaps, question))
    found += judge_memberships(memberships, question)
    found.append(judge_feature(features, memberships, question))
    return found


def judge_clusters(clusters: Sequence[Json], gaps: Mapping[str, Gap], question: Question) -> Iterator[Finding]:
    """Whether a cluster's name is free, or belongs to a cluster that can be adopted.

    ``gaps`` says of which regions, and why, nobody knows the clusters.
    """
    spec = question.spec
    why = "a cluster of the same name is taken for the one that is wanted"
    for cluster in spec.clusters:
        identity = f"name/cluster/{cluster.name}"
        if gap := gaps.get(cluster.region):
            yield unread(identity, gap, what="The clusters", why=why, topic=TOPIC)
            continue
        place = (cluster.region, cluster.name)
        seen = next((one for one in clusters if (one.get("location"), one.get("name")) == place), None)
        if seen is None:
            yield Finding(identity, Verdict.OK, f"{cluster.name} is free in {cluster.region}", why, None, TOPIC)
        elif str(seen.get("network", "default")).rpartition("/")[2] != spec.network.vpc:
            text = f"{cluster.name} exists in the VPC network {seen.get('network')}, which cannot be changed"
            yield Finding(identity, Verdict.FAIL, text, why, _other_name(spec, cluster, question), TOPIC)
        elif marks.ours(spec, seen.get("resourceLabels")):
            yield Finding(identity, Verdict.OK, f"{cluster.name} exists and is this stack's", why, None, TOPIC)
        else:
            whose = marks.whose(spec, seen.get("resourceLabels"))
            text = f"{cluster.name} exists and was {whose}: it is used as it is, and destroy leaves it"
            yield Finding(identity, Verdict.WARN, text, why, _other_name(spec, cluster, question), TOPIC)


def _other_name(spec: GatewaySpec, cluster: ClusterSpec, question: Question) -> str:
    taken = {one.name for one in spec.clusters}
    name = next(f"{cluster.name[:37]}-{number}" for number in range(2, 99) if f"{cluster.name}-{number}" not in taken)
    changed = {f"clusters__{cluster.name}__name": name}
    if spec.config_cluster == cluster.name:
        changed = {"config_cluster": name} | changed
    return question.setting(**changed)


def judge_memberships(memberships: Sequence[Json] | Gap, question: Question) -> Iterator[Finding]:
    """Whether a fleet membership of the same name belongs to another cluster."""
    why = "a membership of the same name keeps the cluster out of the fleet"
    for cluster in question.spec.clusters:
        identity = f"name/membership/{cluster.name}"
        if isinstance(memberships, Gap):
            yield unread(identity, memberships, what="The fleet memberships", why=why, topic=TOPIC)
            continue
        own = f"/locations/{cluster.region}/clusters/{cluster.name}"
        other = next(
            (
                link
                for one in memberships
                if str(one.get("name", "")).endswith(f"/locations/global/memberships/{cluster.name}")
                and (link := _link(one))
                and not link.endswith(own)
            ),
            "",
        )
        if other:
            text = f"the membership {cluster.name} belongs to {other.partition('/projects/')[2] or other}"
            fix = f"gcloud container fleet memberships delete {cluster.name} --project={question.project}"
            yield Finding(identity, Verdict.FAIL, text, why, fix, TOPIC)
        else:
            text = f"the membership {cluster.name} is free or this cluster's"
            yield Finding(identity, Verdict.OK, text, why, None, TOPIC)


def judge_feature(features: Sequence[Json] | Gap, memberships: Sequence[Json] | Gap, question: Question) -> Finding:
    """Whether the fleet's one config cluster is another one already."""
    identity, spec = "fleet/config-cluster", question.spec
    why = "a fleet has one config cluster, and mcig never moves it away from others"
    if isinstance(features, Gap):
        return unread(identity, features, what="The fleet's features", why=why, topic=TOPIC)
    feature = next((one for one in features if str(one.get("name", "")).endswith(f"/{INGRESS_FEATURE}")), None)
    if feature is None:
        return Finding(identity, Verdict.OK, "the fleet has no config cluster yet", why, None, TOPIC)
    points_at = _config_membership(feature)
    links = {str(one.get("name")): _link(one) for one in (() if isinstance(memberships, Gap) else memberships)}
    tail = points_at.partition("/locations/")[2]
    linked = next((link for name, link in links.items() if name.partition("/locations/")[2] == tail), "")
    own = f"/locations/{spec.config.region}/clusters/{spec.config.name}"
    short = points_at.rpartition("/")[2]
    if linked.endswith(own) if linked else short == spec.config.name:
        return Finding(identity, Verdict.OK, f"{spec.config.name} is the fleet's config cluster", why, None, TOPIC)
    text = f"the fleet's config cluster is {short or 'unknown'}, not {spec.config.name}"
    if short in {cluster.name for cluster in spec.clusters}:
        return Finding(identity, Verdict.FAIL, text, why, question.setting(config_cluster=short), TOPIC)
    text += "; who has set it up can say whether it is still used"
    fix = f"gcloud container fleet ingress describe --project={question.project}"
    return Finding(identity, Verdict.FAIL, text, why, fix, TOPIC)


def _config_membership(feature: Mapping[str, object]) -> str:
    spec = feature.get("spec")
    ingress = spec.get(INGRESS_FEATURE) if isinstance(spec, dict) else None
    return str(ingress.get("configMembership", "")) if isinstance(ingress, dict) else ""


def _link(membership: Json) -> str:
    return str(((membership.get("endpoint") or {}).get("gkeCluster") or {}).get("resourceLink", ""))


CHECKS = (
    Check(
        "name/KIND/NAME, fleet/config-cluster",
        TOPIC,
        "clusters, fleet memberships, the fleet's config cluster",
        "things of others under the same name",
        _names,
    ),
)
