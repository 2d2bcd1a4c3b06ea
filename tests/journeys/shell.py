"""A shell that is pointed at an emulated cloud, with ``mcig`` and ``gcloud`` as a person has them in it.

Both come from processes that have their libraries loaded, which takes most of a command's time. Invariant: what runs
is bash, and a line that is pasted into it means what it means to a person: quotes, substitutions and exit codes.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from pathlib import Path

from backend.emulator import control
from backend.resources.services import WANTED
from tests.conformance.tools import GCLOUD, Tools
from tests.journeys.terminal import Printed, Terminal
from tests.warm.client import PYTHON, TIMEOUT_S, Warm

_CALLER = """#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    server.sendall(json.dumps([{name!r}, sys.argv[1:], dict(os.environ)]).encode())
    server.shutdown(socket.SHUT_WR)
    code, out, err = json.loads(server.makefile().read())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""
"""What stands for a program in the shell: asks this process to run it and passes on what it printed."""


class Shell:
    """One emulated cloud without waiting, and a shell in front of it."""

    def __init__(self, folder: Path, warm: Warm) -> None:
        self.tools = Tools(folder, warm)
        self.terminal = Terminal(folder, warm)
        self._warm = warm
        self._lock = threading.Lock()
        self._server = socket.socket(socket.AF_UNIX)
        address = str(folder / "programs.sock")
        self._server.bind(address)
        self._server.listen()
        programs = folder / "bin"
        programs.mkdir()
        for name in ("mcig", "gcloud") if GCLOUD else ("mcig",):
            program = programs / name
            program.write_text(_CALLER.format(python=PYTHON, address=address, name=name))
            program.chmod(0o755)
        self._environ = self.tools.variables | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
        threading.Thread(target=self._serve, daemon=True).start()

    def run(self, line: str, *, typed: str = "") -> str:
        """Run a line and give its output; fails when it does."""
        done = subprocess.run(
            ["bash", "-euc", line],
            env=self._environ,
            input=typed,
            text=True,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def mend(self) -> None:
        """An empty world in which nothing is missing and every API is on."""
        control.clear_faults(self.tools.instance)
        for one in control.settings(self.tools.instance)["settings"]:
            control.put_setting(self.tools.instance, f"{one['path']}=usual")
        control.reset(self.tools.instance)
        for name in (*WANTED, "cloudbilling.googleapis.com"):
            control.put_setting(self.tools.instance, f"service.{name}=enabled")

    def close(self) -> None:
        """End the cloud and the loaded programs."""
        self._server.close()
        self.tools.close()

    def _serve(self) -> None:
        while True:
            try:
                asked, _ = self._server.accept()
            except OSError:
                return
            with asked, self._lock:
                name, arguments, environ = json.loads(asked.makefile().read())
                printed = self._called(name, arguments, environ)
                asked.sendall(json.dumps([printed.code, printed.out, printed.err]).encode())

    def _called(self, name: str, arguments: list[str], environ: dict[str, str]) -> Printed:
        if name == "mcig":
            return Printed(*self._warm.run(arguments, environ))
        done = self.tools.gcloud_of(arguments)
        return Printed(done.code, done.out, done.err)
