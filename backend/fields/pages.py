"""The questions that make a specification, page by page.

Every field of ``GatewaySpec`` stands on exactly one page. Invariant: a field's path is one that ``--set`` takes, with
``clusters[]`` for every cluster.
"""

from __future__ import annotations

from collections.abc import Sequence

from backend.draft import covers
from backend.errors import Problem
from backend.fields import choices
from backend.fields.field import Field, Page

PAGES: tuple[Page, ...] = (
    Page(
        "project",
        "Project",
        "Where the gateway is made. A rehearsal makes all of it on this machine: no account, no cost.",
        (
            Field("target", "Where", options=choices.targets),
            Field("project", "Project id"),
            Field(
                "rehearsal.speed",
                "Speed",
                "How many times faster than real time a rehearsal plays, or `max`; 60 plays "
                "half an hour in half a minute. Counts when mcig starts the emulated cloud.",
                when=choices.rehearsed,
            ),
            Field("kubeconfig", "kubeconfig", advanced=True),
            Field("versions.channel", "GKE channel", advanced=True),
            Field("versions.gke", "GKE version", advanced=True),
            Field("rehearsal.seed", "Seed", advanced=True, when=choices.rehearsed),
            Field(
                "rehearsal.faults",
                "Faults to play",
                "Trouble to rehearse, such as `stockout zone=europe-west3-c`; with commas between.",
                advanced=True,
                when=choices.rehearsed,
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
            Field("clusters[].gpu_pool.accelerator", "GPU", options=choices.accelerators),
            Field("clusters", "Regions"),
            Field("config_cluster", "Config cluster", options=choices.clusters),
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
            Field("clusters[].gpu_pool.machine_type", "Machine", options=choices.machines),
            Field("clusters[].gpu_pool.nodes", "Nodes per zone"),
            Field("clusters[].gpu_pool.provisioning", "Bought as", options=choices.ways),
            Field("clusters[].gpu_pool.reservation", "Reservation", when=choices.reserved),
            Field("model.replicas", "Model servers", "Per cluster; each takes one GPU. `auto` uses every GPU."),
            Field("on_stockout", "Without stock", options=choices.stockouts, advanced=True),
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
                options=choices.default_machines,
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
            Field("model.id", "Model", options=choices.known_models, free=True),
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
            Field("balancing.mode", "Measure", options=choices.modes),
            Field("balancing.max_utilization_percent", "KV cache full at", unit="%", when=choices.by_metric),
            Field(
                "balancing.max_in_flight_requests_per_endpoint",
                "In flight per server",
                unit="requests",
                when=choices.by_count,
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
        "Google's default of 30 s cuts long answers off. The guide's rule is at least twice the time that 99 of 100 "
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


def page_of(path: str) -> Page:
    """The page on which a field is asked for; the first for what is on none."""
    fits = [(len(field.path), page) for page in PAGES for field in page.fields if covers(field.path, path)]
    return max(fits, key=lambda fit: fit[0])[1] if fits else PAGES[0]


def problems_on(page: Page, found: Sequence[Problem]) -> tuple[Problem, ...]:
    """The problems of a draft that belong to a page."""
    return tuple(problem for problem in found if page_of(problem.path) is page)
