"""Running exported scripts with the real gcloud and kubectl, and what a world is without times and random names.

A script calls gcloud about a hundred times, and most of each call is loading it. So its ``gcloud`` is a small program
that hands its arguments to the process that has gcloud loaded, and prints what that says.
"""

from __future__ import annotations

import json
import secrets
import shlex
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conformance.tools import Done, Tools

Json = Any
CLIENT = """#!{python} -SEI
import json, socket, sys
with socket.socket(socket.AF_UNIX) as door:
    door.connect({door!r})
    door.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
    told = json.loads(door.makefile().read())
sys.stdout.write(told["out"])
sys.stderr.write(told["err"])
sys.exit(told["code"])
"""
MARKER = "marker"
"""How service accounts begin that only show that a world was saved since."""
VOLATILE = frozenset(
    {
        "createTime", "creationTimestamp", "currentMasterVersion", "endpoint", "etag", "fingerprint", "generation",
        "id",
        "lastConnectionTime", "managedFields", "masterAuth", "oauth2ClientId", "privateClusterConfig",
        "resourceVersion", "status", "uid", "uniqueId", "unique_id", "updateTime", "instanceGroupUrls", "doneAt",
        "clusterIP", "clusterIPs", "clusterIpv4Cidr", "clusterIpv4CidrBlock", "podIpv4CidrBlock", "selfLink",
        "clusterSecondaryRangeName", "podRange", "externalId", "controlPlaneEndpointsConfig", "keyDigest",
    }
)  # fmt: skip
"""Fields that are another for everything that is made, whoever makes it."""
MADE_BY_OTHERS = frozenset({"Pod", "Node", "ReplicaSet", "Event", "GatewayClass", "GCPInferencePoolImport"})
"""Kinds that controllers make of what was asked for."""


class Scripts:
    """A place to run exported scripts in, against the emulated cloud of ``tools``."""

    def __init__(self, tools: Tools, folder: Path) -> None:
        self.tools = tools
        self._programs = folder / "programs"
        self._programs.mkdir()
        self._door = folder / "door"
        shim = self._programs / "gcloud"
        shim.write_text(CLIENT.format(python=sys.executable, door=str(self._door)))
        shim.chmod(0o700)

    @contextmanager
    def open(self) -> Iterator[None]:
        """Answer for gcloud while this holds."""
        tools, one_at_a_time = self.tools, threading.Lock()

        class Call(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                arguments = json.loads(self.rfile.readline())
                with one_at_a_time:
                    done = tools.gcloud(f"gcloud {shlex.join(arguments)}")
                self.wfile.write(json.dumps({"code": done.code, "out": done.out, "err": done.err}).encode())

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        with Server(str(self._door), Call) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()

    def run(self, script: Path, **variables: str) -> Done:
        """Run a script with bash, as somebody would who has no terminal."""
        path = f"{self._programs}:{self.tools.variables['PATH']}"
        ended = subprocess.run(
            ["bash", str(script)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env=self.tools.variables | {"PATH": path, "POLL_SECONDS": "0.2"} | variables,
        )
        return Done(str(script), ended.returncode, ended.stdout, ended.stderr)

    def world(self) -> Json:
        """What exists, without what is another each time."""
        told = self._saved()
        tables = ("clusters", "memberships", "features", "subnetworks")
        found = {table: _steady(told["tables"][table]) for table in tables}
        iam = told["tables"]["iam"]
        found["accounts"] = {
            email: _steady(account)
            for email, account in iam.get("accounts", {}).items()
            if not email.startswith(MARKER)
        }
        found["bindings"] = {one["role"]: sorted(one["members"]) for one in iam.get("bindings", ())}
        for name, cluster in told["kube"].items():
            for objects in cluster["state"]["objects"].values():
                for obj in objects:
                    if obj["kind"] not in MADE_BY_OTHERS and "ownerReferences" not in obj["metadata"]:
                        meta = obj["metadata"]
                        found[f"{name} {obj['kind']} {meta.get('namespace')}/{meta['name']}"] = _steady(obj)
        return found

    def _saved(self) -> Json:
        """The world's file once it holds all that has happened: a world is saved a moment after each change."""
        marker = f"{MARKER}-{secrets.token_hex(4)}"
        self.tools.google("POST", "/iam/v1/projects/demo-project/serviceAccounts", {"accountId": marker})
        file = self.tools.instance.home / "world.json"
        until = time.monotonic() + 20
        while marker not in (text := file.read_text()):
            assert time.monotonic() < until, "the world is not saved"
            time.sleep(0.02)
        return json.loads(text)


def _steady(value: Json, key: str = "") -> Json:
    if isinstance(value, Mapping):
        return {
            name: _steady(item, name)
            for name, item in sorted(value.items())
            if name not in VOLATILE
            and not (key == "annotations" and name.startswith("networking.gke.io/") and "export" not in name)
        }
    if isinstance(value, list):
        return [_steady(item) for item in value]
    if key == "resourceLink":
        return value.partition("/projects/")[2]
    return value
