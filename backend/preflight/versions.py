"""Versions that have to go together: GKE, vLLM's metric names, and the size of a backend service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from backend import catalog
from backend.clients.google import Json
from backend.errors import InvalidRequest
from backend.preflight.check import Check, Question, unread
from backend.preflight.findings import Finding, Topic, Verdict
from backend.preflight.readings import Gap
from backend.resources.versions import TOO_OLD, channel_of, parse, resolve, satisfies, upgrade_command
from backend.rules import FIRST_METRIC
from backend.spec import BalancingMode, ClusterSpec

TOPIC = Topic.VERSIONS
CHANNELS = ("rapid", "regular", "stable", "extended")
MOST_GROUPS = 50
"""Network endpoint groups that a backend service takes; the gateway makes one for each zone, cluster and port."""
SAFE_IMAGE = "vllm/vllm-openai:v0.8.5"


async def _gke(question: Question) -> Sequence[Finding]:
    clusters = question.spec.clusters
    there, offers = await asyncio.gather(
        question.readings.clusters(),
        asyncio.gather(*(question.readings.versions(cluster.region) for cluster in clusters)),
    )
    seen = [] if isinstance(there, Gap) else there
    return [judge_gke(cluster, offer, seen, question) for cluster, offer in zip(clusters, offers, strict=True)]


def judge_gke(cluster: ClusterSpec, offer: Json | Gap, seen: Sequence[Json], question: Question) -> Finding:
    """Whether a region offers the wanted version, or the cluster that exists has it."""
    wanted, channel = question.spec.versions.gke, question.spec.versions.channel
    identity = f"version/gke/{cluster.region}"
    why = "older versions have no multi-cluster Inference Gateway, and a cluster is only made with an offered one"
    there = next(
        (one for one in seen if (one.get("location"), one.get("name")) == (cluster.region, cluster.name)), None
    )
    if there is not None and (version := there.get("currentMasterVersion")):
        if satisfies(version, wanted):
            return Finding(identity, Verdict.OK, f"{cluster.name} runs GKE {version}", why, None, TOPIC)
        text = f"{cluster.name} runs GKE {version}, and {wanted} is needed: {TOO_OLD}"
        known = {} if isinstance(offer, Gap) else offer
        fix = upgrade_command(cluster.name, cluster.region, wanted, known, channel_of(there), project=question.project)
        return Finding(identity, Verdict.FAIL, text, why, fix, TOPIC)
    if isinstance(offer, Gap):
        return unread(identity, offer, what=f"The GKE versions of {cluster.region}", why=why, topic=TOPIC)
    try:
        version = resolve(wanted, offer, channel)
    except InvalidRequest as error:
        return Finding(
            identity,
            Verdict.FAIL,
            f"{error.message} ({cluster.region}): {error.cause}",
            why,
            _other_channel(wanted, offer, question),
            TOPIC,
        )
    valid = _valid(offer, channel)
    if valid and version not in valid:
        text = f"{cluster.region} does not offer GKE {version} in the {channel} channel"
        newest = max(valid, key=parse)
        fix = question.setting(versions__gke=newest)
        return Finding(identity, Verdict.FAIL, text, why, fix, TOPIC)
    return Finding(identity, Verdict.OK, f"{cluster.region} offers GKE {version} ({channel})", why, None, TOPIC)


def _valid(offer: Json, channel: str) -> list[str]:
    found: list[str] = []
    for one in offer.get("channels", ()):
        if one.get("channel") == channel.upper():
            found += [*one.get("validVersions", ()), *filter(None, [one.get("defaultVersion")])]
    return found


def _other_channel(wanted: str, offer: Json, question: Question) -> str:
    for channel in CHANNELS:
        if any(satisfies(version, wanted) for version in _valid(offer, channel)):
            return question.setting(versions__channel=channel)
    return f"gcloud container get-server-config --region={question.spec.config.region} --project={question.project}"


async def _metric(question: Question) -> Sequence[Finding]:
    spec = question.spec
    identity, why = "version/metric", "a cluster whose balancing metric nobody reports never counts as full"
    if spec.balancing.mode is not BalancingMode.CUSTOM_METRICS:
        text = f"balancing by {spec.balancing.mode} needs no metric of the model servers"
        return [Finding(identity, Verdict.OK, text, why, None, TOPIC)]
    version = spec.model.version
    if version is None:
        text = f"the tag of {spec.model.image} names no version, so the name of its KV-cache metric is not known"
        fix = question.setting(model__image=SAFE_IMAGE)
        return [Finding(identity, Verdict.UNKNOWN, text, why, fix, TOPIC)]
    if version < FIRST_METRIC:
        text = f"{spec.model.image} does not report its KV-cache use as a gauge"
        fix = question.setting(model__image=SAFE_IMAGE)
        return [Finding(identity, Verdict.FAIL, text, why, fix, TOPIC)]
    text = f"{spec.model.image} reports {spec.model.kv_cache_metric}, by which the policy balances"
    return [Finding(identity, Verdict.OK, text, why, None, TOPIC)]


async def _groups(question: Question) -> Sequence[Finding]:
    targets = question.spec.targets
    groups = catalog.ZONES_PER_REGION * len(targets)
    text = f"{len(targets)} clusters in {catalog.ZONES_PER_REGION} zones each give {groups} network endpoint groups "
    text += f"of at most {MOST_GROUPS}"
    why = "a backend service with more endpoint groups is refused, and the Gateway is never programmed"
    verdict = Verdict.OK if groups <= MOST_GROUPS else Verdict.FAIL
    return [Finding("limit/endpoint-groups", verdict, text, why, None, TOPIC)]


CHECKS = (
    Check(
        "version/gke/REGION",
        TOPIC,
        "GKE's versions by region and channel, or the cluster's own",
        "a cluster that is too old for the gateway",
        _gke,
    ),
    Check(
        "version/metric",
        TOPIC,
        "the image's version and the metric that it reports",
        "a gateway that never spills over, because nobody reports what it balances by",
        _metric,
    ),
    Check(
        "limit/endpoint-groups",
        TOPIC,
        "ports x zones x clusters",
        "a Gateway that is never programmed",
        _groups,
    ),
)
