"""What a run takes from the user's machine: the Google Cloud project, the Hugging Face token, the kubeconfig.

Reads environment and files only and starts no program. Invariant: the token is wrapped as soon as it is read, so that
nothing prints it by accident.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from backend.errors import UsageError
from backend.places import Places
from backend.spec import GatewaySpec, Target


class NoProject(UsageError):
    """Nothing names a project."""


OWN_PROJECT = {Target.EMULATOR: "demo-project"}
"""The project of a cloud that has only one: the environment's names belong to the real one."""
OWN_TOKEN = {Target.EMULATOR: SecretStr("hf_rehearsal")}
"""The token of a cloud whose Hugging Face takes any."""


def project_of(spec: GatewaySpec, environ: Mapping[str, str]) -> str:
    """Find the project: the spec's, the cloud's own, ``GOOGLE_CLOUD_PROJECT``, gcloud's; else ``NoProject``."""
    project = spec.project or OWN_PROJECT.get(spec.target)
    project = project or environ.get("GOOGLE_CLOUD_PROJECT") or gcloud_project(environ)
    if not project:
        raise NoProject(
            "no Google Cloud project was named",
            cause="neither the specification, GOOGLE_CLOUD_PROJECT nor gcloud's configuration names one",
            fix="add --set project=PROJECT_ID, or run `gcloud config set project PROJECT_ID`",
        )
    return project


def gcloud_project(environ: Mapping[str, str]) -> str | None:
    """The project of gcloud's active configuration, read from its files; ``None`` without one."""
    return environ.get("CLOUDSDK_CORE_PROJECT") or _gcloud_property("project", environ)


def gcloud_account(environ: Mapping[str, str]) -> str | None:
    """The account of gcloud's active configuration, read from its files; ``None`` without one."""
    return environ.get("CLOUDSDK_CORE_ACCOUNT") or _gcloud_property("account", environ)


def _gcloud_property(name: str, environ: Mapping[str, str]) -> str | None:
    folder = Path(environ.get("CLOUDSDK_CONFIG") or _home(environ) / ".config" / "gcloud")
    active = environ.get("CLOUDSDK_ACTIVE_CONFIG_NAME") or _first_line(folder / "active_config") or "default"
    properties = configparser.ConfigParser(interpolation=None)
    try:
        properties.read(folder / "configurations" / f"config_{active}", encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        return None
    return properties.get("core", name, fallback=None) or None


def hugging_face_token(target: Target, environ: Mapping[str, str]) -> SecretStr | None:
    """The token from ``HF_TOKEN``, else Hugging Face's cache, else one that a rehearsal takes; ``None`` without."""
    found = _token(environ)
    return OWN_TOKEN.get(target) if found is None else found[1]


def token_source(environ: Mapping[str, str]) -> str | None:
    """Where the user's own Hugging Face token was found, in words; ``None`` without one."""
    found = _token(environ)
    return None if found is None else found[0]


def _token(environ: Mapping[str, str]) -> tuple[str, SecretStr] | None:
    if token := environ.get("HF_TOKEN", "").strip():
        return "HF_TOKEN", SecretStr(token)
    cache = environ.get("XDG_CACHE_HOME") or _home(environ) / ".cache"
    home = Path(environ.get("HF_HOME") or Path(cache) / "huggingface")
    if token := _first_line(Path(environ.get("HF_TOKEN_PATH") or home / "token")):
        return "Hugging Face's cache", SecretStr(token)
    return None


def kubeconfig_of(spec: GatewaySpec, environ: Mapping[str, str], places: Places) -> Path:
    """The file that gets the contexts: the spec's, the first of ``KUBECONFIG``, else one of mcig's own.

    ``~/.kube/config`` is taken only where one of the two names it.
    """
    if spec.kubeconfig is not None:
        return Path(spec.kubeconfig).expanduser().absolute()
    named = [path for path in environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    return Path(named[0]).expanduser().absolute() if named else places.kubeconfig


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()


def _first_line(path: Path) -> str:
    try:
        lines = path.expanduser().read_text(encoding="utf-8").split("\n", 1)
    except (OSError, UnicodeDecodeError):
        return ""
    return lines[0].strip()
