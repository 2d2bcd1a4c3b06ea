"""This machine: files, clock, proxy settings, and the tools that exports need. Starts no program."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from backend.preflight.check import Check, Question
from backend.preflight.findings import Finding, Topic, Verdict
from backend.surroundings import kubeconfig_of

TOPIC = Topic.LOCAL
SKEW_S, HOPELESS_S = 60.0, 300.0
"""Error of the clock that is told of, and the one from which tokens are not accepted."""
OLDEST_GCLOUD = 517
"""The first gcloud with the fleet and inference commands of an exported script."""
PLUGIN = "gke-gcloud-auth-plugin"


async def _local(question: Question) -> Sequence[Finding]:
    found = await asyncio.to_thread(_files, question)
    return [*found, _proxy(question.environ)]


def _files(question: Question) -> list[Finding]:
    path = kubeconfig_of(question.spec, question.environ, question.places)
    return [judge_kubeconfig(path), *_tools(question.environ)]


def judge_kubeconfig(path: Path) -> Finding:
    """Whether contexts can be written into a kubeconfig that may not exist yet."""
    why = "contexts for kubectl are written there"
    place = path if path.exists() else next(parent for parent in path.parents if parent.exists())
    if path.is_dir():
        fix = f"export KUBECONFIG={path}/config"
        return Finding("local/kubeconfig", Verdict.FAIL, f"{path} is a folder", why, fix, TOPIC)
    if os.access(place, os.W_OK):
        return Finding("local/kubeconfig", Verdict.OK, f"{path} can be written", why, None, TOPIC)
    fix = f"chmod u+w {place}"
    return Finding("local/kubeconfig", Verdict.FAIL, f"{path} cannot be written ({place})", why, fix, TOPIC)


def _tools(environ: Mapping[str, str]) -> list[Finding]:
    why = "only `mcig export --format gcloud` and your own kubectl need it; mcig itself does not"
    gcloud = shutil.which("gcloud", path=environ.get("PATH"))
    number = None if gcloud is None else gcloud_version(Path(gcloud))
    if gcloud is None:
        page = "python3 -m webbrowser https://cloud.google.com/sdk/docs/install"
        tool = Finding("local/gcloud", Verdict.WARN, "gcloud is not installed", why, page, TOPIC)
    elif number is None:
        text = f"the version of {gcloud} could not be read"
        tool = Finding("local/gcloud", Verdict.UNKNOWN, text, why, "gcloud version", TOPIC)
    elif number < OLDEST_GCLOUD:
        text = f"gcloud is {number}, and scripts need {OLDEST_GCLOUD} or newer"
        tool = Finding("local/gcloud", Verdict.WARN, text, why, "gcloud components update", TOPIC)
    else:
        tool = Finding("local/gcloud", Verdict.OK, f"gcloud is {number}", why, None, TOPIC)
    if shutil.which(PLUGIN, path=environ.get("PATH")):
        plugin = Finding(f"local/{PLUGIN}", Verdict.OK, f"{PLUGIN} is installed", why, None, TOPIC)
    else:
        fix = f"gcloud components install {PLUGIN}"
        plugin = Finding(f"local/{PLUGIN}", Verdict.WARN, f"{PLUGIN} is not installed", why, fix, TOPIC)
    return [tool, plugin]


def gcloud_version(program: Path) -> int | None:
    """The release of a gcloud, read from the file beside it; ``None`` when there is none."""
    root = program.resolve().parent.parent
    for folder in (root, root / "lib" / "google-cloud-sdk", Path("/usr/lib/google-cloud-sdk")):
        try:
            return int((folder / "VERSION").read_text(encoding="utf-8").partition(".")[0])
        except (OSError, ValueError):
            continue
    return None


def _proxy(environ: Mapping[str, str]) -> Finding:
    why = "a proxy in between breaks kubectl and gcloud against the rehearsal cloud on this machine"
    names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    proxy = next((name for name in names if environ.get(name)), None)
    bypassed = f"{environ.get('NO_PROXY', '')},{environ.get('no_proxy', '')}".replace(" ", "").split(",")
    if proxy is None:
        return Finding("local/proxy", Verdict.OK, "no proxy is set", why, None, TOPIC)
    if "*" in bypassed or {"127.0.0.1", "localhost"} <= set(bypassed):
        return Finding("local/proxy", Verdict.OK, f"{proxy} leaves loopback alone", why, None, TOPIC)
    fix = 'export NO_PROXY="${NO_PROXY:+$NO_PROXY,}127.0.0.1,localhost"'
    return Finding("local/proxy", Verdict.WARN, f"{proxy} also catches 127.0.0.1", why, fix, TOPIC)


async def _clock(question: Question) -> Sequence[Finding]:
    await question.readings.knock(question.spec.model.id, "config.json", question.token)
    return [judge_clock(question.readings.clients.huggingface.skew_s)]


def judge_clock(skew_s: float | None) -> Finding:
    """Whether this machine's clock is right, by the date of an answer."""
    why = "tokens and certificates are refused by a clock that is wrong"
    if skew_s is None:
        return Finding("local/clock", Verdict.UNKNOWN, "nobody answered with a date", why, None, TOPIC)
    off = f"{abs(skew_s):.0f} s {'ahead' if skew_s > 0 else 'behind'}"
    if abs(skew_s) < SKEW_S:
        return Finding("local/clock", Verdict.OK, "the clock is right", why, None, TOPIC)
    verdict = Verdict.FAIL if abs(skew_s) >= HOPELESS_S else Verdict.WARN
    return Finding("local/clock", verdict, f"the clock is {off}", why, "sudo timedatectl set-ntp true", TOPIC)


CHECKS = (
    Check(
        "local/kubeconfig, local/gcloud, local/proxy",
        TOPIC,
        "files, programs and variables of this machine",
        "a run that cannot write its contexts",
        _local,
    ),
    Check("local/clock", TOPIC, "the date of an answer", "tokens that are refused without a reason", _clock),
)
