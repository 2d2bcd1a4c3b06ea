"""What a Pod asks this machine to run, read from its manifest; pure functions.

Invariant: only the Pod and its volumes' files decide. A vLLM image becomes a model server, or vLLM's client where its
words say so, a Python script from a ConfigMap becomes a process, and every other image becomes nothing.
"""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

import yaml

Json = dict[str, Any]
Files = Mapping[str, Mapping[str, str]]
"""Volume name to file name to text."""


@dataclass(frozen=True, slots=True)
class Probe:
    """An HTTP readiness probe; times in seconds."""

    path: str
    port: int
    period_s: float = 10.0
    timeout_s: float = 1.0
    failures: int = 3


@dataclass(frozen=True, slots=True)
class ServerWork:
    """A vLLM server: what the model-server process needs to know."""

    container: str
    image: str
    words: tuple[str, ...]
    env: Mapping[str, str]
    port: int
    syncer: str | None
    adapters: tuple[Mapping[str, str], ...]
    token: str | None = field(default=None, repr=False)
    """The Hugging Face token with which it asks for its model."""


@dataclass(frozen=True, slots=True)
class ScriptWork:
    """A Python script mounted from a ConfigMap; `words` still hold the paths inside the container."""

    container: str
    words: tuple[str, ...]
    env: Mapping[str, str]
    port: int | None
    mounts: Mapping[str, str]
    """Path in the container to path below the Pod's folder."""


@dataclass(frozen=True, slots=True)
class BenchWork:
    """vLLM's client for load tests; `words` are what follows `vllm bench serve`."""

    container: str
    words: tuple[str, ...]


BENCH = ("bench", "serve")
"""Words of vLLM's command line that run the client and not a server."""
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Variables that huggingface_hub reads a token from, the first that is set."""
_COMMAND_LINE = "vllm.entrypoints.cli.main"
"""The module of vLLM's command line, where it is not started as `vllm` but from Python."""


def containers(pod: Json) -> list[Json]:
    """All containers of a Pod, init containers last."""
    spec = pod.get("spec", {})
    return [*spec.get("containers", []), *spec.get("initContainers", [])]


def work_of(pod: Json, files: Files) -> ServerWork | ScriptWork | BenchWork | None:
    """Return what to run for a Pod, None when its images are not emulated by a process."""
    for container in pod.get("spec", {}).get("containers", []):
        if _repository(container).endswith("vllm-openai"):
            words = _words(container)
            asked = _command_line(words)
            if asked[: len(BENCH)] == BENCH:
                return BenchWork(container["name"], asked[len(BENCH) :])
            return _server(pod, container, files)
        script = _script(pod, container, files)
        if script is not None:
            return script
    return None


def readiness(pod: Json, container_name: str) -> Probe | None:
    """Return the container's HTTP readiness probe, None when it has none."""
    container = next((c for c in containers(pod) if c.get("name") == container_name), {})
    probe = container.get("readinessProbe", {})
    get = probe.get("httpGet")
    if get is None:
        return None
    port = get.get("port")
    if not isinstance(port, int):
        named = {p.get("name"): p["containerPort"] for p in container.get("ports", [])}
        port = named.get(port) or int(port)
    return Probe(
        path=get.get("path", "/"),
        port=port,
        period_s=float(probe.get("periodSeconds", 10)),
        timeout_s=float(probe.get("timeoutSeconds", 1)),
        failures=int(probe.get("failureThreshold", 3)),
    )


def _repository(container: Json) -> str:
    name = str(container.get("image", "")).partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return folder + slash + last.partition(":")[0]


def plain_env(container: Json) -> dict[str, str]:
    """The container's environment, as far as its values are plain."""
    return {item["name"]: str(item["value"]) for item in container.get("env", []) if item.get("value") is not None}


def mounts(container: Json, files: Files) -> dict[str, str]:
    """Path in the container to path below the Pod's folder, for volumes with files."""
    found = {}
    for mount in container.get("volumeMounts", []):
        if mount["name"] in files:
            inside = mount.get("subPath")
            found[mount["mountPath"]] = f"{mount['name']}/{inside}" if inside else mount["name"]
    return found


def _words(container: Json) -> tuple[str, ...]:
    return tuple(map(str, [*container.get("command", []), *container.get("args", [])]))


def _command_line(words: tuple[str, ...]) -> tuple[str, ...]:
    """What vLLM's command line is given, empty when it is not started."""
    if words[:1] == ("vllm",):
        return words[1:]
    python = words[:1] in {("python",), ("python3",)} and words[1:2] in {("-c",), ("-m",)}
    return words[3:] if python and _COMMAND_LINE in "".join(words[2:3]) else ()


def _server(pod: Json, container: Json, files: Files) -> ServerWork:
    words = _words(container)
    given = plain_env(container)
    env = {name: value for name, value in given.items() if name.startswith("VLLM_")}
    ports = [int(port["containerPort"]) for port in container.get("ports", [])]
    syncer, adapters = _wanted_adapters(pod, files)
    return ServerWork(
        container=container["name"],
        image=str(container["image"]),
        words=words,
        env=env,
        port=_port_flag(words) or (ports[0] if ports else 8000),
        syncer=syncer,
        adapters=adapters,
        token=next((given[name] for name in _TOKENS if given.get(name)), None),
    )


def _port_flag(words: tuple[str, ...]) -> int | None:
    """The value of the last --port, as argparse takes it."""
    given = [after for word, after in pairwise(words) if word == "--port"]
    given += [word.removeprefix("--port=") for word in words if word.startswith("--port=")]
    return next((int(text) for text in reversed(given) if text.isdigit()), None)


def _wanted_adapters(pod: Json, files: Files) -> tuple[str | None, tuple[Mapping[str, str], ...]]:
    """Return the syncer's container name and the adapters of its configuration (GIE's `vLLMLoRAConfig`)."""
    for container in containers(pod):
        path = plain_env(container).get("DYNAMIC_LORA_ROLLOUT_CONFIG")
        text = _mounted_file(container, files, path) if path else None
        if text is None:
            continue
        return container["name"], _adapters(text)
    return None, ()


@lru_cache(maxsize=32)
def _adapters(text: str) -> tuple[Mapping[str, str], ...]:
    """The adapters that a configuration asks for; kept, because every look at a Pod reads the same few texts again."""
    settings = (yaml.safe_load(text) or {}).get("vLLMLoRAConfig") or {}
    base = settings.get("defaultBaseModel") or ""
    unwanted = {model["id"] for model in (settings.get("ensureNotExist") or {}).get("models") or []}
    models = (settings.get("ensureExist") or {}).get("models") or []
    return tuple(
        {"name": m["id"], "source": m["source"], "base_model": m.get("base-model") or base}
        for m in models
        if m["id"] not in unwanted
    )


def _mounted_file(container: Json, files: Files, path: str) -> str | None:
    for mount in container.get("volumeMounts", []):
        folder, name = posixpath.split(path)
        if posixpath.normpath(mount["mountPath"]) == posixpath.normpath(folder):
            return files.get(mount["name"], {}).get(name)
    return None


def _script(pod: Json, container: Json, files: Files) -> ScriptWork | None:
    words = _words(container)
    if not words or posixpath.basename(words[0]) not in {"python", "python3"}:
        return None
    places = mounts(container, files)
    script = next((word for word in words[1:] if word.endswith(".py")), None)
    if script is None or not any(script == path or script.startswith(path.rstrip("/") + "/") for path in places):
        return None
    ports = [int(port["containerPort"]) for port in container.get("ports", [])]
    env = plain_env(container)
    declared = env.get("PORT", "")
    return ScriptWork(
        container=container["name"],
        words=words,
        env=env,
        port=ports[0] if ports else int(declared) if declared.isdigit() else None,
        mounts=places,
    )
