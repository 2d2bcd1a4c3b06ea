"""An emulated cloud in a process of its own, and the programs of others that judge it."""

from __future__ import annotations

import json
import math
import os
import select
import shlex
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from backend.emulator import control
from tests.conformance.recorder import Sent, recording
from tests.warm.client import Warm

Json = Any
ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
"""Recordings, schemas and manifests of others, beside the project; absent on most machines."""
GCLOUD = shutil.which("gcloud")
KUBECTL = shutil.which("kubectl")
APIS = (
    "autoscaling", "compute", "container", "gkehub", "iam", "modelarmor", "multiclusteringress",
    "multiclusterservicediscovery", "networkservices", "trafficdirector",
)  # fmt: skip
"""What the recipe needs enabled."""
TIMEOUT_S = 120
"""After how many seconds a command has hung."""
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended."""

    command: str
    code: int
    out: str
    err: str

    def ok(self) -> Done:
        """Itself; AssertionError with what it said when it failed."""
        assert self.code == 0, f"{self.command}\n{self.out}\n{self.err}"
        return self

    def failed(self, *said: str) -> Done:
        """Itself; AssertionError unless it failed with each of these texts in its complaint."""
        assert self.code == 1, f"{self.command}\n{self.out}\n{self.err}"
        told = " ".join(self.err.split())
        for text in said:
            assert text in told, f"{self.command}\n{self.err}"
        return self

    @property
    def json(self) -> Json:
        """Its output as JSON."""
        return json.loads(self.ok().out)


class Tools:
    """One emulated cloud at infinite speed with gcloud and kubectl pointed at it, as `mcig emulator env` does."""

    def __init__(self, folder: Path, warm: Warm) -> None:
        self.folder = folder
        self._python = str(warm.python)
        self.instance = control.start(folder / "mcig" / "emulator", speed=math.inf)
        self.variables = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "MCIG_HOME": str(folder / "mcig"),
            **control.environment(self.instance),
        }
        self._loaded: subprocess.Popen[str] | None = None

    def close(self) -> None:
        """End everything that was started."""
        control.stop(self.instance)
        if self._loaded is not None:
            self._loaded.communicate(timeout=TIMEOUT_S)

    def reset(self, *services: str) -> None:
        """An empty world with these APIs enabled, by default all that the recipe needs, and no kubeconfig."""
        control.clear_faults(self.instance)
        control.reset(self.instance)
        Path(self.variables["KUBECONFIG"]).unlink(missing_ok=True)
        if wanted := [f"{name}.googleapis.com" for name in (services or APIS)]:
            path = "/serviceusage/v1/projects/demo-project/services:batchEnable"
            self.google("POST", path, {"serviceIds": wanted})

    def google(self, method: str, path: str, body: Json = None) -> Json:
        """One call of the Google APIs; the error's body where it is refused."""
        request = urllib.request.Request(  # noqa: S310 the address is the emulator's own, on loopback
            self.instance.url + path,
            method=method,
            headers={"Authorization": f"Bearer {self.instance.token}"},
            data=None if body is None else json.dumps(body).encode(),
        )
        try:
            with _DIRECT.open(request, timeout=20) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return json.loads(error.read())

    def gcloud(self, command: str) -> Done:
        """One gcloud command as a line, without a shell."""
        return self.gcloud_of(shlex.split(command.removeprefix("gcloud ").replace("\\\n", " "), comments=True))

    def gcloud_of(self, arguments: list[str]) -> Done:
        """One gcloud command, forked from a process that has gcloud loaded."""
        if self._loaded is None:
            self._loaded = self._loaded_gcloud()
        assert self._loaded.stdin is not None
        assert self._loaded.stdout is not None
        out, err = self.folder / "out", self.folder / "err"
        request = {
            "argv": arguments,
            "out": str(out),
            "err": str(err),
        }
        self._loaded.stdin.write(json.dumps(request) + "\n")
        self._loaded.stdin.flush()
        ready, _, _ = select.select([self._loaded.stdout], [], [], TIMEOUT_S)
        assert ready, f"{shlex.join(arguments)} did not end\n{out.read_text()}\n{err.read_text()}"
        code = int(self._loaded.stdout.readline())
        return Done(shlex.join(["gcloud", *arguments]), code, out.read_text(), err.read_text())

    def _loaded_gcloud(self) -> subprocess.Popen[str]:
        assert GCLOUD is not None
        root = Path(GCLOUD).resolve().parents[1]
        asked = self.run([GCLOUD, "info", "--format=value(basic.python_location)"])
        warm = Path(__file__).with_name("warm_gcloud.py")
        return subprocess.Popen(
            [asked.ok().out.strip(), "-S", str(warm), str(root / "lib")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.variables,
        )

    def mcig(self, *arguments: str, **variables: str) -> Done:
        """One mcig command, with a home of its own and a Hugging Face token that is good in a rehearsal."""
        command = [self._python, "-m", "tui", *arguments]
        return self.run(command, **{"PYTHONPATH": str(ROOT), "HF_TOKEN": "hf_rehearsal", **variables})

    @contextmanager
    def recorded(self) -> Iterator[list[Sent]]:
        """What mcig sends to Google's APIs while this holds."""
        record = self.instance.home / "emulator.json"
        direct = record.read_text()
        with recording(self.instance.url) as recorder:
            record.write_text(direct.replace(self.instance.url, recorder.url))
            try:
                yield recorder.sent
            finally:
                record.write_text(direct)

    def kubectl(self, command: str, text: str = "") -> Done:
        """One kubectl command; `text` is its input."""
        return self.run([KUBECTL or "", *shlex.split(command)], text)

    def sign_in(self) -> None:
        """Put the token itself into the kubeconfig: gcloud's helper takes half a second of every kubectl."""
        path = Path(self.variables["KUBECONFIG"])
        config = yaml.safe_load(path.read_text())
        for user in config["users"]:
            user["user"] = {"token": self.instance.token}
        path.write_text(yaml.safe_dump(config))

    def run(self, command: list[str], text: str = "", **variables: str) -> Done:
        """One program, in the environment that `mcig emulator env` prints."""
        ended = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
            env=self.variables | variables,
            cwd=self.folder,
        )
        return Done(shlex.join(command), ended.returncode, ended.stdout, ended.stderr)
