"""The model: whether it fits the GPU, and whether the token opens it and its adapters."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from backend import catalog, fit
from backend.clients.huggingface import Account, Door, Knock
from backend.errors import Unauthenticated
from backend.preflight.check import Check, Question, unread
from backend.preflight.findings import Finding, Topic, Verdict
from backend.preflight.readings import Gap

TOPIC = Topic.MODEL
HUB = "https://huggingface.co"
GIVE_TOKEN = "read -rs HF_TOKEN && export HF_TOKEN"  # noqa: S105
"""Reads a token without showing it, and without a command line that keeps it."""
CRASH = "model servers that may not fetch the model restart for ever, on GPUs that are paid for"


async def _memory(question: Question) -> Sequence[Finding]:
    spec = question.spec
    why = "a model that does not fit never starts"
    needed = fit.need(spec.model.id)
    found = []
    for accelerator in dict.fromkeys(cluster.serving_pool.accelerator for cluster in spec.targets):
        identity = f"model/memory/{accelerator}"
        left = None if needed is None else fit.room(needed, accelerator)
        if needed is None or left is None:
            text = f"how much memory {spec.model.id} takes on one {accelerator} is not known"
            found.append(Finding(identity, Verdict.UNKNOWN, text, why, None, TOPIC))
            continue
        longest = fit.longest_context(needed, accelerator)
        wanted = spec.model.max_model_len or (needed.known.context if needed.known else None)
        text = f"{spec.model.id}: weights {needed.weights_gib:.0f} GiB, {max(0.0, left):.0f} GiB left for the KV cache "
        text += f"of one {accelerator}"
        if longest is not None:
            text += f", {longest} tokens"
        if left <= 0:
            larger = [name for name in _known_gpus() if (fit.room(needed, name) or 0) > 0]
            text += f"; {', '.join(larger) or 'no GPU of the catalogue'} would hold it"
            found.append(Finding(identity, Verdict.FAIL, text, why, None, TOPIC))
        elif longest is not None and wanted is not None and wanted > longest:
            shorter = int(2 ** max(8, longest.bit_length() - 1))
            fix = question.setting(model__max_model_len=shorter)
            found.append(Finding(identity, Verdict.FAIL, f"{text}, and {wanted} are wanted", why, fix, TOPIC))
        else:
            found.append(Finding(identity, Verdict.OK, text, why, None, TOPIC))
    return found


def _known_gpus() -> list[str]:
    return list(dict.fromkeys(shape.accelerator for shape in catalog.shapes().values()))


async def _token(question: Question) -> Sequence[Finding]:
    identity = "huggingface/token"
    if question.token is None:
        text = "no Hugging Face token was found: HF_TOKEN is not set, and there is none in Hugging Face's cache"
        served = await _served(question)
        verdict = Verdict.WARN if served else Verdict.FAIL
        text += "; the clusters that exist may have one already" if served else ""
        return [Finding(identity, verdict, text, CRASH, GIVE_TOKEN, TOPIC)]
    return [judge_token(await question.readings.token_owner(question.token))]


async def _served(question: Question) -> bool:
    """Whether every cluster that serves exists, so that each may have its Secret."""
    clusters = await question.readings.clusters()
    there = set() if isinstance(clusters, Gap) else {(one.get("location"), one.get("name")) for one in clusters}
    return all((cluster.region, cluster.name) in there for cluster in question.spec.targets)


def judge_token(owner: Account | Gap) -> Finding:
    """Whether the hub knows the token."""
    identity = "huggingface/token"
    if isinstance(owner, Gap):
        if isinstance(owner.error, Unauthenticated):
            return Finding(identity, Verdict.FAIL, owner.why, CRASH, GIVE_TOKEN, TOPIC)
        return unread(identity, owner, what="Whose the token is", why=CRASH, topic=TOPIC)
    scope = f", scope {owner.scope}" if owner.scope else ""
    text = f"the token is {owner.name}'s{scope}"
    if owner.scope == "write":
        text += "; read would be enough, and the clusters keep it"
        return Finding(identity, Verdict.WARN, text, CRASH, f"python3 -m webbrowser {HUB}/settings/tokens", TOPIC)
    return Finding(identity, Verdict.OK, text, CRASH, None, TOPIC)


async def _repositories(question: Question) -> Sequence[Finding]:
    model = question.spec.model
    wanted = [("huggingface/model", model.id, "config.json")]
    wanted += [(f"huggingface/adapter/{one.name}", one.source, "adapter_config.json") for one in model.adapters]
    knocks = (question.readings.knock(repository, file, question.token) for _, repository, file in wanted)
    answers = await asyncio.gather(*knocks)
    return [
        judge_repository(identity, repository, answer)
        for (identity, repository, _), answer in zip(wanted, answers, strict=True)
    ]


def judge_repository(identity: str, repository: str, answer: Knock | Gap) -> Finding:
    """Whether a repository opens, and what is in the way."""
    why = CRASH if identity == "huggingface/model" else "an adapter that cannot be fetched is not served"
    if isinstance(answer, Gap):
        return unread(identity, answer, what=f"Whether {repository} opens", why=why, topic=TOPIC)
    page = f"python3 -m webbrowser {HUB}/{repository}"
    match answer.door:
        case Door.OPEN:
            return Finding(identity, Verdict.OK, f"{repository} opens with this token", why, None, TOPIC)
        case Door.GATED:
            text = f"{repository} is gated, and its licence was not accepted with this account: {answer.words}"
        case Door.AWAITING:
            text = f"access to {repository} was asked for, and its authors have not answered: {answer.words}"
        case Door.ABSENT:
            text = f"there is no {repository}, or it is private: {answer.words}"
            page = f"python3 -m webbrowser '{HUB}/models?search={repository.rpartition('/')[2]}'"
        case Door.LACKS_FILE:
            kind = "model" if identity == "huggingface/model" else "adapter"
            text = f"{repository} is there and is no {kind}: {answer.words}"
        case Door.REFUSED:
            text = f"{repository} does not open with this token: {answer.words}"
            page = f"python3 -m webbrowser {HUB}/settings/tokens"
    return Finding(identity, Verdict.FAIL, text, why, page, TOPIC)


CHECKS = (
    Check("model/memory/GPU", TOPIC, "weights and KV cache against the GPU", "a server that never starts", _memory),
    Check(
        "huggingface/token",
        TOPIC,
        "whoami of the hub: whose the token is, and its scope",
        "a crash loop on GPUs that are paid for",
        _token,
    ),
    Check(
        "huggingface/model, huggingface/adapter/NAME",
        TOPIC,
        "one small file of each repository, with the token",
        "a gated model, found out after the GPUs came",
        _repositories,
    ),
)
