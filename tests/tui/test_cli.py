"""What is typed ends in the right exit code: results on stdout, failures in three parts on stderr, no traceback."""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from backend.engine.events import Outcome, Verb
from backend.errors import McigError, UsageError
from backend.presets import Places, find, load
from tui import cli, completion
from tui.commands import lifecycle
from tui.commands.listener import Listener
from tui.console import Console
from tui.interrupts import Interrupts
from tui.invocation import Exit, Invocation, speed

Said = tuple[int, str, str]
Type = Callable[..., Said]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MCIG_HOME", str(tmp_path / "mcig"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT", "CLOUDSDK_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def mcig(home: Path, capfd: pytest.CaptureFixture[str]) -> Type:
    """Types a command in this process."""

    def typed(*arguments: str) -> Said:
        try:
            code = cli.main(arguments)
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return typed


def test_version(mcig: Type) -> None:
    code, out, _ = mcig("--version")
    assert (code, out.split()[0]) == (0, "mcig")


@pytest.mark.parametrize("arguments", [[], ["apply"], ["emulator", "start"], ["presets"]])
def test_help_names_everything_and_leaves_nothing_to_guess(mcig: Type, arguments: list[str]) -> None:
    code, out, _ = mcig(*arguments, "-h")
    assert code == 0
    assert "usage: mcig" in out
    if not arguments:
        for name in ("plan", "apply", "destroy", "status", "prompt", "presets", "emulator", "exit codes"):
            assert name in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "COMMAND"),
        (["frobnicate"], 2, "COMMAND: 'frobnicate' is not one of plan, apply"),
        (["emulator", "status", "--set", "a=b"], 2, "--set"),
        (["presets", "list", "--target", "gke"], 2, "--target"),
        (["load", "rehearsal", "--rate", "x", "--seconds", "5"], 2, "--rate: 'x' is not a number"),
        (["apply", "--frob"], 2, "--frob"),
        (["apply"], 2, "mcig apply rehearsal"),
        (["plan"], 2, "no stack is set up"),
        (["status"], 2, "no stack is set up"),
        (["destroy"], 2, "no stack is set up"),
        (["prompt"], 2, "no stack is set up"),
        (["prompt", "rehearsal", " "], 2, "empty"),
        (["prompt", "rehearsal", "--count", "0"], 2, "whole number"),
        (["apply", "rehersal"], 2, "did you mean rehearsal?"),
        (["apply", "rehearsal", "--set", "timeout_s=9999"], 2, "--set timeout_s: must be at most 3600"),
        (["apply", "rehearsal", "--target", "moon"], 2, "--target: 'moon' is not one of gke, emulator"),
        (["apply", "rehearsal", "--speed", "quick"], 2, "quick"),
        (["apply", "rehearsal", "--speed", "-1"], 2, "-1"),
        (["apply", "rehearsal", "--target", "gke", "--set", "project=abc-def"], 2, "--yes"),
        (["destroy", "rehearsal", "--target", "gke", "--set", "project=abc-def"], 2, "shows what would go"),
        (["plan", "rehearsal", "--target", "gke", "--set", "project="], 2, "no Google Cloud project"),
        (["emulator", "status"], 1, "mcig emulator start"),
        (["emulator", "env"], 1, "mcig emulator start"),
        (["emulator", "start", "--port", "99999"], 2, "65535"),
        (["presets", "save", "Mine", "x.yaml"], 2, "x.yaml"),
    ],
)
def test_what_cannot_be_is_refused_with_a_way_out(mcig: Type, arguments: list[str], code: int, words: str) -> None:
    said = mcig(*arguments)
    assert (said[0], said[1]) == (code, "")
    assert words in said[2]
    assert "fix: " in said[2]


def test_stopping_no_emulator_is_done(mcig: Type) -> None:
    assert mcig("emulator", "stop")[0] == 0


def test_presets_are_listed_shown_and_kept(mcig: Type, home: Path) -> None:
    code, shown, _ = mcig("presets", "show", "rehearsal")
    assert (code, shown) == (0, Path("presets/rehearsal.yaml").read_text())
    mine = home / "mine.yaml"
    mine.write_text(shown.replace("name: rehearsal", "name: mine").replace("Two regions", "My regions"))
    assert mcig("presets", "save", "mine", str(mine))[0] == 0
    listed = json.loads(mcig("presets", "list", "--json")[1])
    kinds = [(item["name"], item["kind"]) for item in listed]
    assert kinds[0] == ("mine", "user preset")
    assert ("rehearsal", "preset") in kinds[1:]
    assert "My regions" in mcig("presets", "list")[1]
    assert mcig("presets", "path")[1].strip() == str(home / "mcig" / "config" / "presets")
    assert mcig("presets", "show", "mine")[1] == mine.read_text()


def test_a_kept_preset_says_which_stack_it_is_for_and_what_it_hides(mcig: Type, home: Path) -> None:
    mine = home / "mine.yaml"
    mine.write_text(mcig("presets", "show", "rehearsal")[1])
    assert (
        "use it with: mcig apply other, which changes the stack rehearsal"
        in mcig("presets", "save", "other", str(mine))[1]
    )
    assert "hides" not in mcig("presets", "list")[1]
    said = mcig("presets", "save", "rehearsal", str(mine))[1]
    assert "it hides the preset rehearsal of the package" in said
    assert said.endswith("use it with: mcig apply rehearsal\n")
    listed = " ".join(mcig("presets", "list")[1].split())
    assert listed.count("(hidden by your own)") == 1


def test_one_word_is_no_prompt_and_how_it_would_be_is_told(mcig: Type, home: Path) -> None:
    code, _, err = mcig("prompt", "hello")
    assert (code, "mcig prompt" in err) == (2, False)
    stacks = home / "mcig" / "state" / "stacks"
    stacks.mkdir(parents=True)
    (stacks / "shop.yaml").write_text(mcig("presets", "show", "rehearsal")[1].replace("name: rehearsal", "name: shop"))
    code, _, err = mcig("prompt", "hello")
    assert code == 2
    assert "there is no file, stack or preset called hello" in err
    assert "to ask the stack shop: mcig prompt shop hello" in err


def test_show_with_options_prints_the_whole_specification(mcig: Type, home: Path) -> None:
    del home
    code, text, _ = mcig("presets", "show", "rehearsal", "--set", "balancing.mode=IN_FLIGHT")
    assert code == 0
    assert "max_in_flight_requests_per_endpoint: 1000" in text
    data = json.loads(mcig("--json", "presets", "show", "rehearsal", "--target", "gke")[1])
    assert (data["target"], data["balancing"]["mode"]) == ("gke", "CUSTOM_METRICS")


def test_options_may_stand_before_and_after_the_command(mcig: Type) -> None:
    before = mcig("--json", "--set", "timeout_s=50", "presets", "show", "rehearsal", "--set", "pool.monitoring=false")
    data = json.loads(before[1])
    assert (data["timeout_s"], data["pool"]["monitoring"]) == (50, False)


def test_the_schema_is_json(mcig: Type) -> None:
    assert "properties" in json.loads(mcig("presets", "schema")[1])


def test_a_file_with_problems_is_told_line_by_line(mcig: Type, home: Path) -> None:
    path = home / "bad.yaml"
    path.write_text("name: bad\ntimeout_s: 0\n")
    code, out, err = mcig("plan", str(path), "--json")
    assert (code, out) == (2, "")
    assert f"{path}:2 timeout_s: must be at least 1, not 0" in err.splitlines()


def test_a_fault_of_our_own_is_kept_in_a_private_file(mcig: Type, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr(cli, "_command", lambda _: broken)
    code, out, err = mcig("status")
    assert (code, out) == (1, "")
    assert "boom" in err
    (report,) = (home / "mcig" / "state" / "crashes").iterdir()
    assert str(report) in err
    assert "ZeroDivisionError" in report.read_text()
    assert report.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("place", ["a-file", "a-file/below"])
def test_a_home_that_cannot_be_is_told_as_such(
    mcig: Type, home: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (home / "a-file").write_text("")
    monkeypatch.setenv("MCIG_HOME", str(home / place))
    code, _, err = mcig("plan", "rehearsal")
    path = home / "a-file" / ("below" if "below" in place else "state")
    assert (code, err.splitlines()[0]) == (2, f"mcig: MCIG_HOME cannot be written: {path}: Not a directory")
    assert "fix: set MCIG_HOME to a folder that you can write" in err


def test_an_emulator_from_start_to_stop(mcig: Type, home: Path) -> None:
    code, out, _ = mcig("emulator", "start", "--detach", "--speed", "max")
    assert (code, "mcig apply rehearsal" in out, 'eval "$(mcig emulator env)"' in out) == (0, True, True)
    try:
        code, out, err = mcig("emulator", "status", "--json")
        status = json.loads(out)
        assert (code, err, status["speed"], status["resources"], status["faults"]) == (0, "", "max", [], [])
        assert datetime.fromisoformat(status["started"]).tzinfo is not None
        assert status["url"].startswith("http://127.0.0.1:")
        assert "runs already" in mcig("emulator", "start", "--speed", "9")[1]
        offered = completion.offers(os.environ)
        typed = {"prefix": "", "parsed_args": argparse.Namespace(kind="stockout")}
        assert "stockout" in offered["kind"](**typed)
        assert "zone=" in offered["parameters"](**typed)
        assert {"billing=", "quota."} <= set(offered["setting"](**typed))
        exports = mcig("emulator", "env")[1]
        shown = subprocess.run(
            ["bash", "-c", f'{exports}\necho "$CLOUDSDK_CORE_PROJECT $KUBECONFIG"'],
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stdout.split() == ["demo-project", json.loads(mcig("emulator", "env", "--json")[1])["KUBECONFIG"]]
        assert shown.stdout.split()[1].split(":")[0] == str(home / "mcig" / "state" / "kubeconfig")
        planned = mcig("plan", "rehearsal", "--speed", "30", "--detailed-exitcode", "--json")
        assert planned[0] == Exit.PENDING
        assert "runs already, at speed max and not 30" in planned[2]
        steps = json.loads(planned[1])["steps"]
        changed = {step["resource"]: step["action"] for step in steps if step["action"] != "create"}
        assert changed == {"services": "update"}, "a new project has some of the APIs"
        assert mcig("emulator", "reset")[0] == 0
        assert not (home / "mcig" / "state").exists(), "a plan leaves nothing behind"
    finally:
        stopped = mcig("emulator", "stop")
    assert stopped[0] == 0
    assert mcig("emulator", "status")[0] == 1


# --- runs that never begin --------------------------------------------------------------------------------------------


@dataclass
class Typed:
    """An invocation whose streams are the test's."""

    invocation: Invocation
    options: argparse.Namespace
    out: io.StringIO

    @property
    def lines(self) -> list[dict[str, object]]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.out.getvalue().splitlines()]


@pytest.fixture
def typed(home: Path) -> Typed:
    out = io.StringIO()
    environ = {"MCIG_HOME": str(home / "mcig"), "HOME": str(home)}
    console = Console(environ, json=True, out=out, err=io.StringIO())
    invocation = Invocation(environ, Places.of(environ), console, Interrupts(lambda _: None), yes=True)
    return Typed(invocation, argparse.Namespace(spec="rehearsal", speed=None), out)


@pytest.mark.parametrize(
    ("failure", "outcome"), [(McigError("no"), "failed"), (KeyboardInterrupt(), "cancelled"), (OSError("x"), "failed")]
)
@pytest.mark.parametrize("verb", ["apply", "destroy"])
def test_run_finished_is_the_last_line_even_if_nothing_began(
    typed: Typed,
    verb: str,
    failure: BaseException,
    outcome: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails(*_: object) -> int:
        raise failure

    monkeypatch.setattr(lifecycle, "_carry_out", fails)
    with pytest.raises(type(failure)):
        getattr(lifecycle, verb)(typed.invocation, typed.options)
    lines = typed.lines
    assert [(line["seq"], line["type"]) for line in lines] == [(1, "run_started"), (2, "run_finished")]
    assert lines[-1]["outcome"] == outcome
    assert lines[-1].get("leftovers", "not told") == ("not told" if verb == "apply" else None)


def test_the_usual_end_is_not_told_twice(typed: Typed) -> None:
    spec = load(find("rehearsal", typed.invocation.places))
    lines = Listener(typed.invocation.console, Verb.APPLY)
    for _ in range(2):
        lines.finish(spec, Verb.APPLY, McigError("x"))
    said = typed.lines
    assert [line["type"] for line in said] == ["run_started", "run_finished"]
    assert said[-1]["outcome"] == Outcome.FAILED


@pytest.mark.parametrize(("text", "value"), [("max", float("inf")), ("60", 60.0), ("0.5", 0.5)])
def test_speeds(text: str, value: float) -> None:
    assert speed(text) == value


@pytest.mark.parametrize("text", ["0", "-3", "nan", "inf", "", "fast"])
def test_what_is_no_speed(text: str) -> None:
    with pytest.raises(UsageError):
        speed(text)


# --- the process ------------------------------------------------------------------------------------------------------


def process(*arguments: str, home: Path, code: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "tui", *arguments]
    environ = {**os.environ, "MCIG_HOME": str(home / "mcig"), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("arguments", [["--version"], ["presets", "list"], ["presets", "path"], ["emulator", "stop"]])
def test_quick_commands_load_nothing_heavy(home: Path, arguments: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["mcig", *{arguments!r}]
from tui.cli import main
try:
    main()
except SystemExit:
    pass
heavy = {{"textual", "questionary", "google", "kubernetes", "aiohttp", "pydantic", "grpc", "jsonschema"}}
print(sorted(heavy & sys.modules.keys()), file=sys.stderr)
"""
    ended = process(home=home, code=code)
    assert ended.stderr.splitlines()[-1] == "[]"


def test_quick_commands_are_quick(home: Path) -> None:
    def used(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert process(*arguments, home=home).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(used("--version") for _ in range(3)) < 0.3
    assert min(used("presets", "list") for _ in range(3)) < 0.3


def test_a_reader_that_goes_away_is_no_failure(home: Path) -> None:
    environ = {**os.environ, "MCIG_HOME": str(home / "mcig")}
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        ended = subprocess.run(
            [sys.executable, "-m", "tui", "presets", "schema"],
            env=environ,
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (0, "")


WAITS = """
import asyncio, sys
from tui.interrupts import Interrupts
async def work(stubborn):
    print("ready", flush=True)
    try:
        await asyncio.sleep(60)
    finally:
        print("cleaning", flush=True)
        if stubborn:
            await asyncio.sleep(60)
with Interrupts(lambda line: print(line, flush=True)).installed() as interrupts:
    try:
        interrupts.run(work(len(sys.argv) > 1))
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_a_run_end_well(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        run.send_signal(number)
        assert run.stdout.read().splitlines() == ["stopping; once more stops at once", "cleaning"]
    assert run.returncode == Exit.INTERRUPTED


def test_the_second_signal_ends_it_at_once() -> None:
    with subprocess.Popen([sys.executable, "-c", WAITS, "stubborn"], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        run.send_signal(signal.SIGINT)
        assert run.stdout.readline().startswith("stopping")
        assert run.stdout.readline() == "cleaning\n"
        began = time.monotonic()
        run.send_signal(signal.SIGINT)
        run.wait(timeout=10)
    assert run.returncode == Exit.INTERRUPTED
    assert time.monotonic() - began < 5


STUCK = """
import asyncio, sys, threading
from concurrent.futures import ThreadPoolExecutor
from tui import __main__ as process
from tui.interrupts import Interrupts
def command():
    never = threading.Event()
    async def work():
        requests = ThreadPoolExecutor()
        asyncio.get_running_loop().run_in_executor(requests, never.wait)
        print("ready", flush=True)
        await asyncio.to_thread(never.wait)
    with Interrupts(lambda line: None).installed() as interrupts:
        try:
            interrupts.run(work())
        except KeyboardInterrupt:
            sys.stdout.write("told")
            return 130
process.main = command
process.run()
"""


def test_an_interrupted_command_waits_for_no_request_under_way() -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        run.send_signal(signal.SIGINT)
        try:
            told, _ = run.communicate(timeout=30)
        finally:
            run.kill()
    assert (told, run.returncode) == ("told", Exit.INTERRUPTED), "what was told is not lost with the threads"


GIVEN_UP = """
import asyncio, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from tui import __main__ as process
from tui.interrupts import Interrupts
def command():
    never = threading.Event()
    def keep():
        time.sleep(0.1)
        sys.stdout.write("kept ")
    async def work():
        loop, requests = asyncio.get_running_loop(), ThreadPoolExecutor()
        for call in (loop.run_in_executor(requests, never.wait), asyncio.to_thread(never.wait)):
            try:
                await asyncio.wait_for(call, 0.01)
            except TimeoutError:
                pass
        requests.shutdown(wait=False, cancel_futures=True)
        loop.run_in_executor(None, keep)
    with Interrupts(lambda line: None).installed() as interrupts:
        interrupts.run(work())
    sys.stdout.write("told ")
    return 4
process.main = command
process.run()
"""


def test_a_command_that_gave_a_request_up_does_not_wait_for_it_at_its_end() -> None:
    ended = subprocess.run([sys.executable, "-c", GIVEN_UP], capture_output=True, text=True, check=False, timeout=30)
    assert (sorted(ended.stdout.split()), ended.returncode) == (["kept", "told"], Exit.REFUSED), ended.stderr
    assert not ended.stderr
