"""Who nodes are and what the multi-cluster controller may do: grants among other people's grants."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from backend.clients import Clients
from backend.clients.projects import bound, granted, revoked
from backend.emulator.server import Emulator
from backend.engine.events import Verb
from backend.errors import Busy, InvalidRequest, StepTimeout
from backend.resources import iam, marks
from backend.resources.gke import account_id, node_account
from backend.resources.iam import AGENT_ROLES, NODE_ROLES, IngressAgent, NodeAccount, agent
from backend.resources.services import WANTED
from backend.resources.sharing import Teardown
from backend.spec import GatewaySpec
from tests.backend.resources.rows import Session, Told, silent

Json = dict[str, Any]
NODES = "serviceAccount:mcig-two-regions@demo-project.iam.gserviceaccount.com"
AGENT = "serviceAccount:service-415104041262@gcp-sa-multiclusteringress.iam.gserviceaccount.com"
CONDITION = {"title": "until summer", "expression": 'request.time < timestamp("2027-06-01T00:00:00Z")'}
FOREIGN: list[Json] = [
    {"role": "roles/owner", "members": ["user:rehearsal@example.com"]},
    {"role": NODE_ROLES[1], "members": ["user:ann@example.com"], "condition": CONDITION},
    {"role": NODE_ROLES[0], "members": ["group:ops@example.com"]},
    {"role": AGENT_ROLES[0], "members": ["user:ann@example.com", "deleted:user:bob@example.com?uid=7"]},
]
"""Other people's grants, to the same roles too."""


@pytest.fixture
async def project(clients: Clients, emulator: Emulator) -> Json:
    """The table of a project with its APIs on and with other people's grants."""
    operation = await clients.services.enable(WANTED)
    await clients.services.operation(operation["name"])
    table: Json = emulator.world.tables["iam"]
    table["bindings"] = deepcopy(FOREIGN)
    return table


def without(bindings: list[Json], *members: str) -> list[Json]:
    """The bindings with our members taken out, in an order that can be compared."""
    rest = [one | {"members": sorted(set(one["members"]) - set(members))} for one in bindings]
    return sorted((one for one in rest if one["members"]), key=repr)


def test_a_grant_joins_the_unconditional_binding_of_its_role() -> None:
    after = granted(FOREIGN, NODES, NODE_ROLES)

    assert after[:2] == FOREIGN[:2]
    assert after[2]["members"] == ["group:ops@example.com", NODES]
    assert after[4:] == [{"role": NODE_ROLES[1], "members": [NODES]}]
    assert bound({"bindings": after}, NODES) == set(NODE_ROLES)
    assert granted(after, NODES, NODE_ROLES) == after
    assert revoked(after, NODES, NODE_ROLES) == FOREIGN


def test_a_grant_under_a_condition_is_none() -> None:
    conditional = [{"role": NODE_ROLES[0], "members": [NODES], "condition": CONDITION}]

    assert bound({"bindings": conditional}, NODES) == frozenset()
    assert revoked(conditional, NODES, NODE_ROLES) == conditional


@pytest.mark.parametrize("name", ["a", "two-regions", "x" * 25, "x" * 26, "a-name-that-is-quite-a-bit-too-long-here"])
def test_the_accounts_id_derives_from_the_stack_and_fits(spec: GatewaySpec, name: str) -> None:
    named = GatewaySpec.model_validate(spec.to_data() | {"name": name})

    assert 6 <= len(account_id(named)) <= 30
    assert account_id(named).startswith(f"mcig-{name[:18]}")
    assert not account_id(named).endswith("-")


def test_long_names_that_begin_alike_have_different_accounts(spec: GatewaySpec) -> None:
    names = [f"the-same-beginning-and-then-{end}" for end in ("one", "two")]

    assert len({account_id(GatewaySpec.model_validate(spec.to_data() | {"name": name})) for name in names}) == 2


async def test_nodes_get_an_account_with_two_roles_and_nobody_elses_grant_changes(
    spec: GatewaySpec, clients: Clients, project: Json
) -> None:
    row = NodeAccount(spec, clients)
    assert row.diff(await row.observe()).action == "create"

    await row.apply(row.create(), silent)
    seen = await row.wait(silent)

    assert marks.ours(spec, seen.account["description"])
    assert seen.roles == set(NODE_ROLES)
    assert row.diff(seen).action == "no-op"
    assert without(project["bindings"], NODES) == without(FOREIGN)
    assert [one for one in project["bindings"] if "condition" in one] == [FOREIGN[1]]
    assert row.removal(seen).action == "delete"
    await row.delete(silent)
    assert await row.observe() is None
    assert project["accounts"] == {}
    assert without(project["bindings"]) == without(FOREIGN)
    await row.delete(silent)


async def test_bindings_go_before_the_account_so_that_no_name_stays_behind(
    spec: GatewaySpec, clients: Clients, project: Json
) -> None:
    row = NodeAccount(spec, clients)
    await row.apply(row.create(), silent)

    await clients.iam.delete_account(node_account(spec, clients.project))
    assert "deleted:serviceAccount:mcig-two-regions" in repr(project["bindings"])
    project["bindings"] = deepcopy(FOREIGN)
    await row.apply(row.create(), silent)
    await row.delete(silent)

    assert "mcig-two-regions" not in repr(project["bindings"])


async def test_an_account_made_again_gets_its_roles_again(spec: GatewaySpec, clients: Clients, project: Json) -> None:
    row = NodeAccount(spec, clients)
    await row.apply(row.create(), silent)
    await clients.iam.delete_account(node_account(spec, clients.project))
    await clients.iam.create_account(account_id(spec), title="", description=marks.description(spec))

    step = row.diff(await row.observe())

    assert step.action == "update"
    assert {change.field for change in step.changes} == set(NODE_ROLES)
    await row.apply(step, silent)
    assert row.diff(await row.wait(silent)).action == "no-op"


async def test_an_account_of_that_name_that_mcig_did_not_make_is_used_and_left(
    spec: GatewaySpec, clients: Clients, project: Json
) -> None:
    await clients.iam.create_account(account_id(spec), title="Mine", description="for experiments")
    row = NodeAccount(spec, clients)
    step = row.diff(await row.observe())

    assert (step.action, step.reason) == ("update", "adopted")
    await row.apply(step, silent)
    seen = await row.wait(silent)
    assert (row.diff(seen).action, row.diff(seen).reason) == ("no-op", "adopted")
    assert row.removal(seen).action == "no-op"


async def test_somebody_else_changes_the_policy_at_the_same_time(
    spec: GatewaySpec, clients: Clients, project: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = {"role": "roles/viewer", "members": ["user:eve@example.com"]}
    google = clients.projects._google
    ask, pauses = google.rest, []

    async def raced(api: str, method: str, path: str, *args: Any, **more: Any) -> Any:
        answer = await ask(api, method, path, *args, **more)
        if path.endswith(":getIamPolicy") and theirs not in project["bindings"]:
            project["bindings"].append(theirs)
        return answer

    async def pause(tries: int) -> None:
        pauses.append(tries)

    monkeypatch.setattr(google, "rest", raced)
    monkeypatch.setattr(google, "pause", pause)
    row = NodeAccount(spec, clients)
    await row.apply(row.create(), silent)

    assert pauses == [1]
    assert theirs in project["bindings"]
    assert (await row.wait(silent)).roles == set(NODE_ROLES)


async def test_a_policy_that_never_holds_still_is_given_up(
    clients: Clients, project: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    google = clients.projects._google
    ask = google.rest

    async def raced(api: str, method: str, path: str, *args: Any, **more: Any) -> Any:
        answer = await ask(api, method, path, *args, **more)
        if path.endswith(":getIamPolicy"):
            project["bindings"].append({"role": "roles/viewer", "members": [f"user:{len(project['bindings'])}@x.org"]})
        return answer

    async def pause(tries: int) -> None:
        pass

    monkeypatch.setattr(google, "rest", raced)
    monkeypatch.setattr(google, "pause", pause)
    with pytest.raises(Busy, match="concurrent policy changes"):
        await clients.projects.grant("user:ann@example.com", ["roles/viewer"])


async def test_two_stacks_accounts_and_the_agent_are_granted_side_by_side(
    spec: GatewaySpec, clients: Clients, project: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    async def pause(tries: int) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(clients.projects._google, "pause", pause)
    other = GatewaySpec.model_validate(spec.to_data() | {"name": "other"})
    rows = [NodeAccount(one, clients) for one in (spec, other)]
    await asyncio.gather(*(row.apply(row.create(), silent) for row in rows))

    for row in rows:
        assert (await row.wait(silent)).roles == set(NODE_ROLES)


async def test_the_agent_is_granted_its_role_once_the_feature_has_made_it(
    spec: GatewaySpec, clients: Clients, emulator: Emulator, project: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = IngressAgent(spec, clients)
    assert row.depends_on == {"fleet-ingress"}
    assert await row.observe() is None
    monkeypatch.setattr(iam, "TIMEOUT_S", 0.0)
    told = Told()
    with pytest.raises(StepTimeout):
        await row.apply(row.create(), told)
    assert told.texts == [f"waiting until {AGENT.partition(':')[2]} is known everywhere"]
    with pytest.raises(InvalidRequest, match="does not exist"):
        await clients.projects.grant(AGENT, AGENT_ROLES)

    project["agents"] = {agent("415104041262"): {"createdAt": 0}}
    await row.apply(row.create(), silent)
    seen = await row.wait(silent)

    assert seen.member == AGENT
    assert row.diff(seen).action == "no-op"
    assert without(project["bindings"], AGENT) == without(FOREIGN)


async def test_the_agents_grant_stays_unless_nobody_else_is_left(
    spec: GatewaySpec, clients: Clients, emulator: Emulator, project: Json
) -> None:
    project["agents"] = {agent("415104041262"): {"createdAt": 0}}
    await clients.projects.grant(AGENT, AGENT_ROLES)
    modest, greedy = IngressAgent(spec, clients), IngressAgent(spec, clients, Teardown(shared=True))

    left = modest.removal(await modest.observe())
    assert left.action == "no-op"
    assert f"remove-iam-policy-binding demo-project --member={AGENT}" in left.reason

    emulator.world.tables["memberships"]["us-east4/theirs"] = {
        "name": "projects/demo-project/locations/us-east4/memberships/theirs",
        "endpoint": {"gkeCluster": {"resourceLink": "//container.googleapis.com/projects/x/locations/y/clusters/z"}},
        "state": {"code": "READY"},
    }
    needed = greedy.removal(await greedy.observe())
    assert needed.action == "no-op"
    assert "membership theirs may need it" in needed.reason

    del emulator.world.tables["memberships"]["us-east4/theirs"]
    assert greedy.removal(await greedy.observe()).action == "delete"
    await greedy.delete(silent)
    assert await greedy.observe() is None
    assert without(project["bindings"]) == without(FOREIGN)


async def test_observing_both_rows_asks_three_times(
    spec: GatewaySpec, clients: Clients, project: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    google = clients.projects._google
    by_path = google.rest

    async def path_called(api: str, method: str, path: str, *args: Any, **more: Any) -> Any:
        if api in {"cloudresourcemanager", "iam"}:
            asked.append(path)
        return await by_path(api, method, path, *args, **more)

    monkeypatch.setattr(google, "rest", path_called)
    await Session(spec, clients).plan(Verb.APPLY)

    assert sorted(path.rpartition("/")[2] for path in asked) == [
        "demo-project",
        "demo-project:getIamPolicy",
        NODES.partition(":")[2],
    ]
