"""Which program, on which machine, in which terminal.

Invariant: of the environment only names of variables are told, and of those only the ones that mcig or its libraries
read; no program is started.
"""

from __future__ import annotations

import platform
import re
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import Any

VARIABLES = (
    "CLOUDSDK_CONFIG",
    "COLORTERM",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
    "HF_HOME",
    "HF_TOKEN",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "KUBECONFIG",
    "MCIG_HOME",
    "NO_COLOR",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "SSH_CONNECTION",
    "SSL_CERT_FILE",
    "TMUX",
    "https_proxy",
    "http_proxy",
    "no_proxy",
)
"""Variables that change what mcig does."""
PROGRAMS = ("gcloud", "gke-gcloud-auth-plugin", "kubectl", "helm")


def describe(environ: Mapping[str, str]) -> dict[str, Any]:
    """Versions, the operating system, the terminal, and which programs and variables there are."""
    return {
        "mcig": _version("mcig"),
        "python": sys.version,
        "system": platform.platform(),
        "libraries": dict(_libraries()),
        "programs": [name for name in PROGRAMS if shutil.which(name, path=environ.get("PATH"))],
        "terminal": {
            "type": environ.get("TERM"),
            "locale": environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG"),
            "size": list(shutil.get_terminal_size((80, 24))),
        },
        "variables_set": [name for name in VARIABLES if environ.get(name)],
    }


def _libraries() -> list[tuple[str, str | None]]:
    """The libraries that mcig asks for, with the versions that are installed."""
    try:
        required = distribution("mcig").requires or []
    except PackageNotFoundError:
        return []
    names = {re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in required if "extra ==" not in one}
    return [(name, _version(name)) for name in sorted(names)]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
