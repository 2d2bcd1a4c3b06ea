"""What can be set in the emulated world, and is otherwise as in a project that has all it needs.

A setting is a path and a value, `quota.us-east4.C2_CPUS=24`; `usual` takes it back. It is data in the world, so it
lasts over a restart. Unlike a fault it is a state and no event: a request for more quota or a granted role changes it
as it would change the real project.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from backend.emulator.google import geography
from backend.emulator.world import World

Json = dict[str, Any]
USUAL = "usual"
"""The value that takes a setting back."""
ABSENT = "absent"
"""The value of a thing that there is not, or that an API does not show."""
GATES = ("open", "granted", "refused", "awaiting", "rejected")
"""How a model's gate stands: no gate; access given; never asked for; asked for; declined."""
ROLES = ("read", "write", "fineGrained", "fineGrained-no-gated")
"""What a Hugging Face token may do; the last one lacks the permission for gated repositories."""
POLICIES = ("allow", "deny", "enforced", "not-enforced", "in:europe-locations")
"""What a policy may say; the last one is an example of places that alone are allowed."""
REAL_MODEL, ON, OFF = "real-model", "on", "off"
"""The setting by which a small real model answers prompts, and its values."""
MOST_MACHINES = 20_000
_VERSION = re.compile(r"1\.\d+\.\d+-gke\.\d+")
_PERMISSION = re.compile(r"[a-z]\w*\.[a-zA-Z]\w*\.[a-zA-Z]\w*")


class Tables(Protocol):
    """What reading a setting needs of a world."""

    @property
    def tables(self) -> dict[str, dict[str, Any]]: ...


class SettingError(ValueError):
    """A setting that cannot be; the text says what can."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One form of path, and what its values are."""

    form: str
    """The path and its values as a person writes them."""
    does: str
    """What it is, in a few words."""
    pattern: re.Pattern[str]
    """What the path must match."""
    read: Callable[[Mapping[str, str], str], str]
    """The value as it is kept, from what the pattern matched and the text; raises SettingError."""
    table: str = "settings"
    """The world's table that holds it."""


def _number(_: Mapping[str, str], text: str) -> str:
    if text != ABSENT and not re.fullmatch(r"\d{1,9}(\.\d+)?", text):
        raise SettingError(f"{text} is no number from 0, and not {ABSENT}")
    return text


def _quota(path: Mapping[str, str], text: str) -> str:
    _known_region(path["region"], "global")
    return _number(path, text)


def _share(path: Mapping[str, str], text: str) -> str:
    _known_zone(path["zone"])
    _known_machine(path["machine"])
    if not re.fullmatch(r"0(\.\d+)?|1(\.0+)?", text):
        raise SettingError(f"{text} is no share from 0 to 1")
    return text


def _price(path: Mapping[str, str], text: str) -> str:
    _known_region(path["region"])
    _known_machine(path["machine"])
    if not re.fullmatch(r"\d{1,6}(\.\d{1,9})?", text):
        raise SettingError(f"{text} is no price in dollars an hour")
    return text


def _permissions(_: Mapping[str, str], text: str) -> str:
    named = [one.strip() for one in text.split(",") if one.strip()]
    for one in named:
        if not _PERMISSION.fullmatch(one):
            raise SettingError(f"{one} is no permission, like compute.subnetworks.create")
    return ",".join(sorted(set(named)))


def _versions(path: Mapping[str, str], text: str) -> str:
    _known_region(path["region"], "global")
    named = [one.strip() for one in text.split(",")]
    for one in named:
        if not _VERSION.fullmatch(one):
            raise SettingError(f"{one} is no version, like 1.33.5-gke.1125000")
    return ",".join(named)


def _one_of(*values: str) -> Callable[[Mapping[str, str], str], str]:
    def read(_: Mapping[str, str], text: str) -> str:
        if text not in values:
            raise SettingError(f"{text} is none of {', '.join(values)}")
        return text

    return read


def _service(path: Mapping[str, str], text: str) -> str:
    from backend.emulator.google.serviceusage import TITLES

    if f"{path['name'].removesuffix('.googleapis.com')}.googleapis.com" not in TITLES:
        raise SettingError(f"{path['name']} is no API that is known here")
    return _one_of("enabled", "disabled")(path, text)


def _policy(_: Mapping[str, str], text: str) -> str:
    places = [one.removeprefix("in:") for one in text.split(",")]
    if text not in POLICIES and not all(text.startswith("in:") and re.fullmatch(r"[a-z0-9-]+", one) for one in places):
        raise SettingError(f"{text} is none of {', '.join(POLICIES)}")
    return text


def _real_model(path: Mapping[str, str], text: str) -> str:
    from backend.emulator.realmodel.weights import missing

    if text == ON and (lacking := missing()) is not None:
        raise SettingError(f"the real model cannot answer: {lacking}")
    return _one_of(ON, OFF)(path, text)


def _machines(path: Mapping[str, str], text: str) -> str:
    _known_zone(path["zone"])
    if not text.isdecimal() or int(text) > MOST_MACHINES:
        raise SettingError(f"{text} is no whole number from 0 to {MOST_MACHINES}")
    return text


def _known_region(region: str, *also: str) -> None:
    if region not in geography.REGIONS and region not in also:
        raise SettingError(f"{region} is not a region{''.join(f', and not {one}' for one in also)}")


def _known_zone(zone: str) -> None:
    if zone not in geography.ZONES:
        raise SettingError(f"{zone} is not a zone")


def _known_machine(machine: str) -> None:
    if machine not in geography.MACHINES:
        raise SettingError(f"{machine} is not a machine type")


_MODEL = r"(?P<model>[\w.-]+/[\w.-]+?)"
SETTINGS: tuple[Setting, ...] = (
    Setting(
        "quota.REGION.METRIC=N|absent", "a quota of a region, or one that is not shown there; GPU families as "
        "quota.REGION.GPUS_PER_GPU_FAMILY/NVIDIA_H100",
        re.compile(r"quota\.(?P<region>[a-z0-9-]+)\.(?P<metric>[A-Z][A-Z0-9_]*(/[A-Z0-9_]+)?)"), _quota, "quotas",
    ),
    Setting("quota.global.METRIC=N|absent", "a quota of the project", re.compile(r"(?!)"), _quota, "quotas"),
    Setting(
        "iam.deny=PERMISSION,...", "what the caller may not do, until a role of its own gives it back",
        re.compile(r"iam\.deny"), _permissions,
    ),
    Setting(
        "service.NAME=enabled|disabled", "whether an API is on",
        re.compile(r"service\.(?P<name>[a-z]+(\.googleapis\.com)?)"), _service, "services",
    ),
    Setting(
        "versions.REGION|global.CHANNEL=V,V...", "versions of a release channel, newest first; the last is its default",
        re.compile(r"versions\.(?P<region>[a-z0-9-]+)\.(?P<channel>RAPID|REGULAR|STABLE)"), _versions,
    ),
    Setting(
        "capacity.ZONE.MACHINE=0..1", "how likely spot machines are to be had; at 0 there are none",
        re.compile(r"capacity\.(?P<zone>[a-z0-9-]+)\.(?P<machine>[a-z0-9-]+)"), _share,
    ),
    Setting(
        "price.REGION.MACHINE=USD", "the spot price of a machine for an hour",
        re.compile(r"price\.(?P<region>[a-z0-9-]+)\.(?P<machine>[a-z0-9-]+)"), _price,
    ),
    Setting(
        f"model.ID.gated={'|'.join(GATES)}", "how the gate of a model on Hugging Face stands",
        re.compile(rf"model\.{_MODEL}\.gated"), _one_of(*GATES),
    ),
    Setting("model.ID=absent", "that Hugging Face has no such repository", re.compile(rf"model\.{_MODEL}"),
            _one_of(ABSENT)),
    Setting(
        f"huggingface.role={'|'.join(ROLES)}", "what the Hugging Face token may do",
        re.compile(r"huggingface\.role"), _one_of(*ROLES),
    ),
    Setting("billing=enabled|disabled", "whether the project has a billing account", re.compile(r"billing"),
            _one_of("enabled", "disabled")),
    Setting(
        f"policy.CONSTRAINT={'|'.join(POLICIES)}", "an organisation policy; such as compute.vmExternalIpAccess",
        re.compile(r"policy\.(?P<constraint>[a-z]+\.[a-zA-Z.]+)"), _policy,
    ),
    Setting(
        "machines.ZONE=N", "machine types that a zone has beside the known ones, for a long list",
        re.compile(r"machines\.(?P<zone>[a-z0-9-]+)"), _machines,
    ),
    Setting(
        f"{REAL_MODEL}={ON}|{OFF}", "whether a small real language model on this machine answers, one prompt at a time",
        re.compile(re.escape(REAL_MODEL)), _real_model,
    ),
)  # fmt: skip
"""All that can be set."""


def put(world: World, text: str) -> Json:
    """Set `PATH=VALUE`, or take it back with the value `usual`; gives what is kept. Raises SettingError."""
    path, equals, value = (part.strip() for part in text.partition("="))
    if not equals or (not value and path != "iam.deny"):
        raise SettingError(f"{text!r} is no PATH=VALUE; {_forms()}")
    for setting in SETTINGS:
        match = setting.pattern.fullmatch(path)
        if match is None:
            continue
        if value != USUAL:
            value = setting.read(match.groupdict(), value)
        _keep(world, setting, path, match.groupdict(), value)
        world.touch()
        return {"path": path, "value": value}
    raise SettingError(f"there is no {path!r}; {_forms()}")


def _forms() -> str:
    return "there is " + ", ".join(setting.form for setting in SETTINGS)


def _keep(world: World, setting: Setting, path: str, parts: Mapping[str, str], value: str) -> None:
    key, kept = path, value
    if setting.table == "quotas":
        key = parts["metric"] if parts["region"] == "global" else f"{parts['region']}/{parts['metric']}"
    table = world.tables[setting.table]
    if setting.table == "services":
        key = f"{parts['name'].removesuffix('.googleapis.com')}.googleapis.com"
    if value in {USUAL, ""}:
        table.pop(key, None)
    elif setting.table == "quotas":
        table[key] = None if kept == ABSENT else float(kept)
    elif setting.table == "services":
        table[key] = {"state": kept.upper()}
    else:
        table[key] = kept


def value(world: Tables, path: str) -> str | None:
    """What a path of the table `settings` is set to; None where it is as usual."""
    found: str | None = world.tables["settings"].get(path)
    return found


def listed(world: World) -> list[Json]:
    """What is set, by path; what an API call switches, like an API, is no part of it."""
    quotas = {
        f"quota.{key.replace('/', '.', 1)}" if key.partition("/")[0] in geography.REGIONS else f"quota.global.{key}": (
            ABSENT if limit is None else f"{float(limit):g}"
        )
        for key, limit in world.tables["quotas"].items()
    }
    return [{"path": path, "value": kept} for path, kept in sorted((world.tables["settings"] | quotas).items())]


def forms() -> Iterator[Json]:
    """What can be set: form and meaning."""
    for setting in SETTINGS:
        yield {"form": setting.form, "does": setting.does}
