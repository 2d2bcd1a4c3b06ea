"""Contexts for kubectl: gcloud's own entries, in the right file, with everything else of it left as it is."""

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.engine.events import Action
from backend.errors import UsageError
from backend.places import Places
from backend.resources import marks
from backend.resources.kubeconfig import CREDENTIALS, KubeconfigEntry
from backend.resources.kubeconfig_text import Kubeconfig
from backend.resources.sharing import Teardown
from backend.spec import GatewaySpec
from backend.surroundings import kubeconfig_of
from tests.backend.kubes import FakeClients, Notes

Json = dict[str, Any]
WEST, EAST = "gke_demo-project_europe-west3_gke-west", "gke_demo-project_us-east4_gke-east"
OTHERS = """\
# my clusters
apiVersion: v1
kind: Config
clusters:
  # the one at home
  - name: home  # a Pi
    cluster:
      server: https://192.168.1.4:6443

  # and the one at work
  - name: work
    cluster: {server: https://10.0.0.1, certificate-authority-data: d29yaw==}
contexts:
- context:
    cluster: home
    user: me
    namespace: games
  name: home
current-context: home  # keep
users:
- name: me
  user:
    token: secret
# the end
"""


class Clusters:
    """Clusters as the container API has them."""

    def __init__(self, spec: GatewaySpec, *, ours: bool = True) -> None:
        labels = marks.labels(spec) if ours else {}
        self.found: dict[str, Json] = {
            name: {"endpoint": ip, "masterAuth": {"clusterCaCertificate": f"Q0Eg{name}"}, "resourceLabels": labels}
            for name, ip in (("gke-west", "198.51.100.7"), ("gke-east", "198.51.100.8"))
        }

    def seen(self, location: str, name: str) -> Json | None:
        return None

    async def cluster(self, location: str, name: str) -> Json | None:
        return self.found.get(name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config"


def row(spec: GatewaySpec, path: Path, clusters: Clusters, index: int = 0, *, adopted: bool = False) -> KubeconfigEntry:
    clients = FakeClients({})
    clients.container = clusters  # type: ignore[attr-defined]
    teardown = Teardown(adopted=adopted)
    return KubeconfigEntry(spec, spec.clusters[index], clients.as_clients(), path=path, teardown=teardown)


async def carry_out(resource: KubeconfigEntry) -> Action:
    step = resource.diff(await resource.observe())
    if step.action is not Action.NO_OP:
        await resource.apply(step, Notes())
        await resource.wait(Notes())
    return step.action


def write(path: Path, text: str) -> None:
    path.write_text(text)


def text_of(path: Path) -> str:
    return path.read_text()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def link(path: Path, to: Path) -> None:
    path.symlink_to(to)


def is_link(path: Path) -> bool:
    return path.is_symlink()


def read(path: Path) -> Json:
    found: Json = yaml.safe_load(path.read_text())
    return found


async def test_a_new_file_has_what_gcloud_writes(spec: GatewaySpec, path: Path) -> None:
    clusters = Clusters(spec)
    for index in (0, 1):
        assert await carry_out(row(spec, path, clusters, index)) is Action.CREATE
        assert await carry_out(row(spec, path, clusters, index)) is Action.NO_OP
    config = read(path)
    assert config["clusters"][0] == {
        "name": WEST,
        "cluster": {"certificate-authority-data": "Q0Eggke-west", "server": "https://198.51.100.7"},
    }
    assert config["contexts"][1] == {"name": EAST, "context": {"cluster": EAST, "user": EAST}}
    assert config["users"] == [{"name": name, "user": CREDENTIALS} for name in (WEST, EAST)]
    assert config["current-context"] == WEST
    assert {key: config[key] for key in ("apiVersion", "kind", "preferences")} == {
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
    }
    assert mode_of(path) == 0o600


async def test_other_entries_comments_and_the_current_context_stay(spec: GatewaySpec, path: Path) -> None:
    write(path, OTHERS)
    clusters = Clusters(spec)
    await carry_out(row(spec, path, clusters))
    added = text_of(path)
    assert [line for line in OTHERS.splitlines() if line not in added.splitlines()] == []
    assert read(path)["current-context"] == "home"
    assert [item["name"] for item in read(path)["contexts"]] == ["home", WEST]
    await row(spec, path, clusters).delete(Notes())
    assert text_of(path) == OTHERS


async def test_what_leads_to_the_cluster_under_other_names_is_left_alone(spec: GatewaySpec, path: Path) -> None:
    config = Kubeconfig("", path=str(path))
    config.put("clusters", "west", {"server": "https://198.51.100.7", "certificate-authority-data": "Q0Eggke-west"})
    config.put("users", "me", {"token": "mine"})
    config.put("contexts", WEST, {"cluster": "west", "user": "me", "namespace": "serving"})
    write(path, config.text)
    assert await carry_out(row(spec, path, Clusters(spec))) is Action.NO_OP


async def test_a_cluster_that_was_made_anew_is_pointed_at_again(spec: GatewaySpec, path: Path) -> None:
    clusters = Clusters(spec)
    await carry_out(row(spec, path, clusters))
    text = text_of(path).replace(f"user: {WEST}", f"user: {WEST}\n    namespace: serving")
    write(path, text)
    clusters.found["gke-west"]["endpoint"] = "203.0.113.5"
    resource = row(spec, path, clusters)
    step = resource.diff(await resource.observe())
    assert [(change.field, change.before, change.after) for change in step.changes] == [
        ("server", "https://198.51.100.7", "https://203.0.113.5")
    ]
    assert resource.removal(await resource.observe()).reason == "points at another cluster: left"
    await resource.delete(Notes())
    assert text_of(path) == text
    await carry_out(resource)
    config = read(path)
    assert config["clusters"][0]["cluster"]["server"] == "https://203.0.113.5"
    assert config["contexts"][0]["context"]["namespace"] == "serving"


@pytest.mark.parametrize(
    ("text", "told"),
    [("clusters: [\n", "config:2 is not YAML"), ("- a list\n", "is no kubeconfig"), ("clusters: x\n", "no kubeconfig")],
)
async def test_a_file_that_is_no_kubeconfig_is_refused_and_not_touched(
    spec: GatewaySpec, path: Path, text: str, told: str
) -> None:
    write(path, text)
    resource = row(spec, path, Clusters(spec))
    observed = await resource.observe()
    with pytest.raises(UsageError, match=told) as caught:
        resource.diff(observed)
    assert "--set kubeconfig=" in caught.value.fix
    with pytest.raises(UsageError, match=told):
        await resource.apply(resource.create(), Notes())
    assert resource.removal(observed).action is Action.NO_OP
    await resource.delete(Notes())
    assert text_of(path) == text


async def test_the_context_of_an_adopted_cluster_goes_only_with_the_cluster(spec: GatewaySpec, path: Path) -> None:
    theirs = Clusters(spec, ours=False)
    await carry_out(row(spec, path, theirs))
    stays, goes = row(spec, path, theirs), row(spec, path, theirs, adopted=True)
    assert stays.removal(await stays.observe()).action is Action.NO_OP
    assert goes.removal(await goes.observe()).action is Action.DELETE


async def test_a_link_to_the_file_stays_a_link(spec: GatewaySpec, path: Path) -> None:
    real = path.with_name("real")
    link(path, real)
    await carry_out(row(spec, path, Clusters(spec)))
    assert is_link(path)
    assert read(real)["current-context"] == WEST
    await row(spec, path, Clusters(spec)).delete(Notes())
    assert read(real)["current-context"] == ""


async def test_without_a_cluster_nothing_is_asked_of_the_file(spec: GatewaySpec, path: Path) -> None:
    write(path, "not: [yaml")
    clusters = Clusters(spec)
    clusters.found.clear()
    assert await row(spec, path, clusters).observe() is None


def test_the_file_is_the_specs_the_environments_or_mcigs_own_and_never_the_default(
    spec: GatewaySpec, tmp_path: Path
) -> None:
    places = Places.of({"MCIG_HOME": str(tmp_path)})
    assert kubeconfig_of(spec, {"HOME": "/home/me"}, places) == tmp_path / "state" / "kubeconfig"
    assert kubeconfig_of(spec, {"KUBECONFIG": ":/a/one:/a/two"}, places) == Path("/a/one")
    named = spec.model_copy(update={"kubeconfig": str(tmp_path / "named")})
    assert kubeconfig_of(named, {"KUBECONFIG": "/a/one"}, places) == tmp_path / "named"


names = st.sampled_from(["a", "b", "c"])


@settings(deadline=None)
@given(
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(["put", "remove"]), st.sampled_from(["clusters", "users"]), names), max_size=8),
)
def test_the_text_always_says_what_was_asked_for(flow: bool, edits: list[tuple[str, str, str]]) -> None:
    start = yaml.safe_dump(yaml.safe_load(OTHERS), default_flow_style=flow) if flow else OTHERS
    config = Kubeconfig(start, path="x")
    wanted = {section: {item["name"] for item in config.data[section]} for section in ("clusters", "users")}
    for verb, section, name in edits:
        if verb == "put":
            config.put(section, name, {"server": f"https://{name}"})
            wanted[section].add(name)
        else:
            config.remove(section, name)
            wanted[section].discard(name)
    assert yaml.safe_load(config.text) == config.data
    assert {section: {item["name"] for item in config.data[section] or ()} for section in wanted} == wanted
    assert config.entry("contexts", "home") == {"cluster": "home", "user": "me", "namespace": "games"}
    if not flow:
        assert "# the one at home" in config.text
