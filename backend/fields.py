"""The questions that make a specification, declared once.

Every field of ``GatewaySpec`` stands on exactly one page. The wizard, the plain questions and the documentation render
these; nothing is rendered here. Invariants: a field's path is one that ``--set`` takes, with ``clusters[]`` for every
cluster; help that is not given is the model's own docstring; ``parse`` and ``show`` undo each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from backend import catalog, spec_fields
from backend.draft import EACH, Draft, covers
from backend.errors import Problem, UsageError
from backend.yaml_tree import Path


class Kind(StrEnum):
    """What sort of answer a field takes."""

    TEXT = "text"
    NUMBER = "number"
    CHOICE = "choice"
    YES_NO = "yes-no"
    LIST = "list"
    """Texts with commas between them."""
    PAIRS = "pairs"
    """``name=source`` with commas between them."""
    CLUSTERS = "clusters"
    """The regions that serve the model, which make up the clusters."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers that a field may have."""

    value: str
    label: str
    hint: str = ""
    """What taking it means, in one line."""


Choices = Callable[[Draft], Iterable[Choice]]


@dataclass(frozen=True)
class Field:
    """One question."""

    path: str
    label: str
    text: str = ""
    """Help in the place of the model's docstring."""
    options: Choices | None = None
    """What it may be, where that depends on other answers."""
    free: bool = False
    """Whether another answer than one of the choices may be typed."""
    advanced: bool = False
    """Whether most people leave it as it is."""
    each: bool = False
    """Whether every cluster has an answer of its own; others of the clusters' fields are usually the same in all."""
    unit: str = ""
    when: Callable[[Draft], bool] | None = None
    """When it means anything; always where ``None``."""

    @cached_property
    def annotation(self) -> Any:
        """The type that the specification gives it."""
        return spec_fields.annotation_at(_typed(self.path))

    @cached_property
    def kind(self) -> Kind:
        """What sort of answer it takes."""
        if self.path == "clusters":
            return Kind.CLUSTERS
        if (item := spec_fields.item_of(self.annotation)) is not None:
            return Kind.PAIRS if spec_fields.model_of(item) is not None else Kind.LIST
        plain = spec_fields.plain(self.annotation)
        if plain == [bool]:
            return Kind.YES_NO
        if (self.options is not None and not self.free) or (
            spec_fields.choices(self.annotation) and len(spec_fields.choices(self.annotation)) == len(_members(plain))
        ):
            return Kind.CHOICE
        return Kind.NUMBER if plain in ([int], [float]) else Kind.TEXT

    @cached_property
    def help(self) -> str:
        """One or two sentences on what it is."""
        return self.text or _docstring(_typed(self.path)).replace("``", "`")

    @property
    def optional(self) -> bool:
        """Whether it may be left empty."""
        return spec_fields.optional(self.annotation)

    @property
    def optional_block(self) -> bool:
        """Whether it belongs to a block that may be left out altogether, such as the guard."""
        above = _typed(self.path)[:-1]
        return bool(above) and spec_fields.optional(spec_fields.annotation_at(above))

    def choices(self, draft: Draft) -> tuple[Choice, ...]:
        """What it may be, given the other answers; empty where it takes anything."""
        if self.options is not None:
            return tuple(self.options(draft))
        return tuple(Choice(str(value), str(value)) for value in spec_fields.choices(self.annotation))

    def asked(self, draft: Draft) -> bool:
        """Whether it means anything, given the other answers."""
        return self.when is None or self.when(draft)

    def show(self, value: Any) -> str:
        """An answer as text, as a person would type it."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        if not isinstance(value, list):
            return str(value)
        if self.kind is Kind.PAIRS:
            return ", ".join(f"{item['name']}={item['source']}" for item in value)
        return ", ".join(map(str, value))

    def parse(self, text: str) -> Any:
        """What was typed as an answer; a text that cannot be one is given as it is, for ``Draft.check`` to tell."""
        text = text.strip()
        kinds = spec_fields.plain(self.annotation)
        if self.kind in {Kind.LIST, Kind.PAIRS}:
            items = [item.strip() for item in re.split(r"[,\n]", text) if item.strip()]
            if not items and self.optional_block:
                return None
            return items if self.kind is Kind.LIST else [_pair(item) for item in items]
        if self.kind is Kind.YES_NO:
            return {"yes": True, "true": True, "y": True, "no": False, "false": False, "n": False}.get(
                text.lower(), text
            )
        if not text and self.optional:
            return None
        for kind, pattern in ((int, r"[+-]?\d{1,18}"), (float, r"[+-]?\d{1,18}(\.\d{1,18})?")):
            if kind in kinds and re.fullmatch(pattern, text):
                return kind(text)
        return text


@dataclass(frozen=True)
class Page:
    """One group of questions."""

    name: str
    title: str
    about: str
    """What is decided here, in a sentence or two."""
    fields: tuple[Field, ...]
    topics: tuple[str, ...] = ()
    """What of ``backend.preflight.Topic`` is checked here."""
    more: str = ""
    """Help in paragraphs."""

    def problems(self, found: Sequence[Problem]) -> tuple[Problem, ...]:
        """The problems of a draft that belong to this page."""
        return tuple(problem for problem in found if page_of(problem.path) is self)


def page_of(path: str) -> Page:
    """The page on which a field is asked for; the first for what is on none."""
    fits = [(len(field.path), page) for page in PAGES for field in page.fields if covers(field.path, path)]
    return max(fits, key=lambda fit: fit[0])[1] if fits else PAGES[0]


def field_at(path: str) -> Field:
    """The field of a path; ``KeyError`` when there is none."""
    return _BY_PATH[path]


def normalised(path: str) -> str:
    """A path of one cluster as the path that stands for every cluster."""
    return re.sub(r"^clusters\[\d+\]", "clusters[]", path)


# --- choices that depend on other answers -----------------------------------------------------------------------------


def _machines(draft: Draft) -> Iterator[Choice]:
    for shape in catalog.shapes().values():
        if shape.accelerator == draft.accelerator:
            gpus = f"{shape.accelerators} GPU{'' if shape.accelerators == 1 else 's'}"
            price = _price(shape.machine_type, draft)
            yield Choice(shape.machine_type, shape.machine_type, f"{gpus}, {price}")


def _price(machine_type: str, draft: Draft) -> str:
    region = (draft.regions or [catalog.FALLBACK_REGION])[0]
    way = str((draft.all(f"{EACH}gpu_pool.provisioning") or ["spot"])[0])
    quote = catalog.quote(machine_type, region, way)
    return "price unknown" if quote is None else f"${quote.usd_per_hour:.2f}/h {way}"


def _ways(draft: Draft) -> Iterator[Choice]:
    machines = [str(name) for name in draft.all(f"{EACH}gpu_pool.machine_type")]
    shapes = [catalog.shapes()[name] for name in machines if name in catalog.shapes()]
    hints = {
        "spot": "cheapest; can be taken back",
        "flex-start": "queued; stays seven days",
        "on-demand": "list price, as long as wanted",
        "reservation": "from one the project has",
    }
    for way, hint in hints.items():
        if all(way in shape.buy_as for shape in shapes):
            yield Choice(way, way, hint)


def accelerators() -> tuple[Choice, ...]:
    """The GPU types that the catalogue knows machines of, each with its memory and its smallest machine."""
    kinds = dict.fromkeys(shape.accelerator for shape in catalog.shapes().values())
    found = []
    for kind in kinds:
        memory = catalog.gpu_memory(kind)
        found.append(Choice(kind, _gpu_name(kind), "" if memory is None else f"{memory:.0f} GiB"))
    return tuple(found)


def _gpu_name(kind: str) -> str:
    words = kind.removeprefix("nvidia-").removeprefix("tesla-").split("-")
    return " ".join("GB".join(re.split("gb", word)) if word.endswith("gb") else word.upper() for word in words)


def _accelerators(draft: Draft) -> Sequence[Choice]:
    del draft
    return accelerators()


def _clusters(draft: Draft) -> Iterator[Choice]:
    for cluster in draft.clusters:
        yield Choice(str(cluster["name"]), str(cluster["name"]), str(cluster["region"]))


def _targets(draft: Draft) -> Sequence[Choice]:
    del draft
    return (
        Choice("emulator", "rehearsal here", "no account, no cost"),
        Choice("gke", "Google Cloud", "costs until destroyed"),
    )


def _modes(draft: Draft) -> Sequence[Choice]:
    del draft
    return (
        Choice("CUSTOM_METRICS", "custom metrics", "by KV cache: sees long requests"),
        Choice("IN_FLIGHT", "in flight", "by number: reacts at once"),
    )


def _stockouts(draft: Draft) -> Sequence[Choice]:
    del draft
    return (
        Choice("ask", "ask me", "and offer other zones, machines and regions"),
        Choice("next-zone", "try the next zone", "of the same region, without a question"),
        Choice("stop", "stop", "and keep what was made"),
    )


def _known_models(draft: Draft) -> Sequence[Choice]:
    del draft
    return tuple(
        Choice(name, name)
        for name in (
            "meta-llama/Llama-3.1-8B-Instruct",
            "meta-llama/Llama-3.2-3B-Instruct",
            "meta-llama/Llama-3.2-1B-Instruct",
            "Qwen/Qwen3-8B",
        )
    )


def _default_machines(draft: Draft) -> Sequence[Choice]:
    del draft
    return (
        Choice("e2-standard-4", "e2-standard-4", "4 vCPU; enough for system Pods and the endpoint picker"),
        Choice("c2-standard-16", "c2-standard-16", "16 vCPU; the document's own"),
    )


def _rehearsed(draft: Draft) -> bool:
    return bool(draft.get("target") == "emulator")


def _reserved(draft: Draft) -> bool:
    return "reservation" in draft.all(f"{EACH}gpu_pool.provisioning")


def _by_metric(draft: Draft) -> bool:
    return bool(draft.get("balancing.mode") == "CUSTOM_METRICS")


def _by_count(draft: Draft) -> bool:
    return not _by_metric(draft)


# --- the pages --------------------------------------------------------------------------------------------------------

PAGES: tuple[Page, ...] = (
    Page(
        "project",
        "Project",
        "Where the gateway is made. A rehearsal makes all of it on this machine: no account, no cost.",
        (
            Field("target", "Where", options=_targets),
            Field("project", "Project id"),
            Field(
                "rehearsal.speed",
                "Speed",
                "How many times faster than in life a rehearsal plays, or `max`; 60 plays "
                "half an hour in half a minute. Counts when mcig starts the emulated cloud.",
                when=_rehearsed,
            ),
            Field("kubeconfig", "kubeconfig", advanced=True),
            Field("versions.channel", "GKE channel", advanced=True),
            Field("versions.gke", "GKE version", advanced=True),
            Field("rehearsal.seed", "Seed", advanced=True, when=_rehearsed),
            Field(
                "rehearsal.faults",
                "Faults to play",
                "Trouble to rehearse, such as `stockout zone=europe-west3-c`; with commas between.",
                advanced=True,
                when=_rehearsed,
            ),
        ),
        ("project", "versions", "local"),
        "mcig looks at the project before anything is made: whether it can be reached, has billing, which APIs are on "
        "and what you may do there. Without a Google account, rehearse: the same code runs against an emulated cloud "
        "on 127.0.0.1, with simulated model servers behind a real Envoy.",
    ),
    Page(
        "regions",
        "Regions & zones",
        "Two regions or more serve the model; one of their clusters also holds the gateway (the config cluster).",
        (
            Field("clusters[].gpu_pool.accelerator", "GPU", options=_accelerators),
            Field("clusters", "Regions"),
            Field("config_cluster", "Config cluster", options=_clusters),
            Field("clusters[].gpu_pool.zones", "Zones", each=True, advanced=True),
            Field("clusters[].name", "Cluster name", each=True, advanced=True),
            Field("clusters[].region", "Region of the cluster", each=True, advanced=True),
        ),
        ("regions",),
        "A request goes to the nearest region that has room, and spills over to the next one when that is full. So "
        "choose regions near your users, where your quota has room for the GPUs. The bar shows what is in use, what "
        "this setup adds, and the limit. The config cluster holds the Gateway and its policies; it cannot be moved "
        "later without a destroy.",
    ),
    Page(
        "gpu",
        "GPU pool",
        "Which machines run the model, how many, and how they are bought. The same in every region, or each its own.",
        (
            Field("clusters[].gpu_pool.machine_type", "Machine", options=_machines),
            Field("clusters[].gpu_pool.nodes", "Nodes per zone"),
            Field("clusters[].gpu_pool.provisioning", "Bought as", options=_ways),
            Field("clusters[].gpu_pool.reservation", "Reservation", when=_reserved),
            Field("model.replicas", "Model servers", "Per cluster; each takes one GPU. `auto` uses every GPU."),
            Field("on_stockout", "Without stock", options=_stockouts, advanced=True),
            Field(
                "clusters[].gpu_pool.accelerators_per_node",
                "GPUs per machine",
                "Comes with the machine type; only a machine that mcig does not know needs it.",
                advanced=True,
            ),
            Field("clusters[].gpu_pool.name", "Pool name", advanced=True),
            Field(
                "clusters[].default_pool.machine_type",
                "Default machine",
                options=_default_machines,
                free=True,
                advanced=True,
            ),
            Field("clusters[].default_pool.nodes_per_zone", "Default nodes", advanced=True),
            Field("clusters[].default_pool.disk_type", "Default disks", advanced=True),
            Field("beyond_catalog", "Beyond catalogue", advanced=True),
        ),
        ("gpu",),
        "Each model server takes one GPU, so a machine with two GPUs runs two. GPUs without a server cost the same: "
        "`auto` leaves none idle. Spot machines are cheapest and may be taken back at any time, which is why two "
        "regions are a good idea. Small H100 machines can only be had as spot or flex-start.",
    ),
    Page(
        "model",
        "Model & token",
        "What is served. Gated models need a Hugging Face token whose owner has accepted the licence.",
        (
            Field("model.id", "Model", options=_known_models, free=True),
            Field(
                "model.adapters",
                "LoRA adapters",
                "Served beside the model under names of their own: `name=repository`"
                ", with commas between; empty for none.",
            ),
            Field("model.max_model_len", "Longest context", unit="tokens"),
            Field("model.image", "Server image", advanced=True),
            Field("model.name", "Deployment name", advanced=True),
            Field("objective.name", "Objective", advanced=True),
            Field("objective.priority", "Its priority", advanced=True),
        ),
        ("model",),
        "The token is taken from HF_TOKEN, from Hugging Face's own cache, or typed here. It is kept in memory only and "
        "goes to the clusters as a Secret; it is never written to a file, a log or a command line. A rehearsal needs "
        "none.",
    ),
    Page(
        "network",
        "Network",
        "The VPC that the clusters share, and a range in each region for the gateway's proxies.",
        (
            Field("network.vpc", "VPC network"),
            Field("network.subnetwork", "Subnetwork"),
            Field("clusters[].proxy_subnet", "Proxy-only range", each=True),
            Field("gateway.name", "Gateway name", advanced=True),
            Field("gateway.port", "Gateway port", advanced=True),
            Field("gateway.class", "Gateway class", advanced=True),
            Field("pool.name", "InferencePool", advanced=True),
            Field("pool.namespace", "Namespace", advanced=True),
            Field("pool.port", "Server port", advanced=True),
            Field("pool.monitoring", "Monitoring objects", advanced=True),
            Field("pool.chart", "Chart version", advanced=True),
        ),
        ("network",),
        "An internal gateway's load balancer runs on proxies of Google's, which take their addresses from a proxy-only "
        "subnet: one in each region and VPC, /23 to /26, and not inside a range that is in use. `auto` takes a free "
        "/23, or the one that is there.",
    ),
    Page(
        "balancing",
        "Balancing",
        "When a region counts as full, so that requests spill over to the next one.",
        (
            Field("balancing.mode", "Measure", options=_modes),
            Field("balancing.max_utilization_percent", "KV cache full at", unit="%", when=_by_metric),
            Field(
                "balancing.max_in_flight_requests_per_endpoint", "In flight per server", unit="requests", when=_by_count
            ),
        ),
        (),
        "Custom metrics: the model servers report how full their KV caches are, and above the target new requests go "
        "elsewhere. It sees how long requests are, but metrics arrive every few seconds, so it follows bursts a little "
        "late. Requests in flight: each model server takes so many at once. It needs no metric and reacts at once, but "
        "a long request counts like a short one.",
    ),
    Page(
        "timeouts",
        "Timeouts",
        "How long the load balancer waits for a whole answer.",
        (
            Field("timeout_s", "Timeout", unit="s"),
            Field("health_check.path", "Health check path", advanced=True),
            Field("health_check.port", "Health check port", advanced=True),
        ),
        (),
        "Google's default of 30 s cuts long answers off. The document's rule is at least twice the time that 99 of 100 "
        "answers stay below (P99), 3600 s at most. Retries and queueing count against it, too.",
    ),
    Page(
        "name",
        "Name & preset",
        "What the stack is called. Everything that is made carries this name as a mark.",
        (
            Field("name", "Stack name"),
            Field("description", "Description"),
            Field(
                "guard.usd",
                "Warn at cost",
                "Warns, and then offers to destroy, once so much was spent; empty for never.",
                unit="USD",
            ),
            Field(
                "guard.hours",
                "Warn at age",
                "Warns, and then offers to destroy, once the stack is so old; empty for never.",
                unit="h",
            ),
            Field("guardrail.namespaces", "Guarded for", advanced=True),
            Field("guardrail.compute_classes", "Guarded classes", advanced=True),
        ),
        (),
        "A run can be continued, changed and destroyed by this name. Saved as a preset, the same answers can be used "
        "again and edited as a file; the token is never in it.",
    ),
)
"""In the order in which they are asked."""

_BY_PATH = {field.path: field for page in PAGES for field in page.fields}


def _typed(path: str) -> Path:
    parts: list[str | int] = []
    for part in path.split("."):
        name, list_item, _ = part.partition("[]")
        parts += [name, 0] if list_item else [name]
    return tuple(parts)


def _docstring(path: Path) -> str:
    *above, last = path
    model = spec_fields.model_of(spec_fields.annotation_at(tuple(above)))
    fields = {} if model is None else {info.alias or name: info for name, info in model.model_fields.items()}
    return (fields[str(last)].description or "") if str(last) in fields else ""


def _members(plain: Sequence[Any]) -> list[Any]:
    """The words that the alternatives of an annotation amount to; one for an alternative that is no word."""
    return [found for part in plain for found in (spec_fields.choices(part) or [part])]


def _pair(text: str) -> dict[str, str]:
    name, _, source = text.partition("=")
    return {"name": name.strip(), "source": source.strip()}


def setting(field: Field, value: Any) -> str:
    """The ``--set`` value that gives an answer on the command line; raises ``UsageError`` for lists of blocks."""
    if field.kind in {Kind.PAIRS, Kind.CLUSTERS}:
        raise UsageError(f"{field.path} is a list of blocks", fix="write it into a YAML file")
    return f"{field.path}={field.show(value) if value is not None else 'null'}"
