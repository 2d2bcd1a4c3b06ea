"""The fleet: a membership by its link, and one config cluster that is never changed by the way."""

from __future__ import annotations

from typing import Any

import pytest

from backend.clients import Clients
from backend.clients.names import INGRESS_FEATURE
from backend.engine.events import Verb
from backend.errors import AlreadyExists, Conflict
from backend.resources import marks
from backend.resources.cluster import GkeCluster
from backend.resources.fleet import Membership, in_words, linked
from backend.resources.fleet_ingress import FleetIngress, Ingress, same_membership
from backend.resources.services import WANTED
from backend.spec import GatewaySpec
from tests.backend.resources.rows import Session, make_node_account, silent

LINK = "projects/demo-project/locations/europe-west3/clusters/gke-west"


def member(link: str, **more: Any) -> dict[str, Any]:
    return {"name": "m", "endpoint": {"gkeCluster": {"resourceLink": link}}, **more}


@pytest.mark.parametrize(
    "origin",
    ["//container.googleapis.com/", "http://127.0.0.1:4321/container/", "https://container.googleapis.com/v1/", ""],
)
def test_a_membership_is_known_by_its_link_from_any_origin(spec: GatewaySpec, origin: str) -> None:
    found = member(f"{origin}{LINK}")

    assert (
        linked(
            [member("//x/" + LINK.replace("west3", "west4")), {"name": "no link"}, found],
            "demo-project",
            spec.clusters[0],
        )
        is found
    )
    assert linked([found], "demo-project", spec.clusters[1]) is None
    assert linked([found], "another-project", spec.clusters[0]) is None


def test_a_cluster_whose_name_ends_alike_is_another(spec: GatewaySpec) -> None:
    assert linked([member(f"//x/my{LINK}")], "demo-project", spec.clusters[0]) is None


def test_memberships_compare_without_the_project() -> None:
    ours = "projects/demo-project/locations/global/memberships/gke-west"

    assert same_membership(ours, "projects/415104041262/locations/global/memberships/gke-west")
    assert not same_membership(ours, "projects/demo-project/locations/us-east4/memberships/gke-west")
    assert not same_membership("", "")


@pytest.mark.parametrize(
    ("state", "action"),
    [("READY", "no-op"), ("UPDATING", "no-op"), ("CREATING", "create"), ("DELETING", "create"), (None, "update")],
)
def test_a_membership_is_taken_as_far_as_it_is(
    spec: GatewaySpec, clients: Clients, state: str | None, action: str
) -> None:
    seen = member(LINK, labels=marks.labels(spec), state={"code": state} if state else {})

    assert Membership(spec, spec.clusters[0], clients).diff(seen).action == action


@pytest.fixture
async def session(spec: GatewaySpec, clients: Clients) -> Session:
    """A project with both clusters."""
    operation = await clients.services.enable(WANTED)
    await clients.services.operation(operation["name"])
    await make_node_account(spec, clients)
    for cluster in spec.clusters:
        row = GkeCluster(spec, cluster, clients)
        await row.apply(row.create(), silent)
        await row.wait(silent)
    return Session(spec, clients)


async def register(clients: Clients, name: str, link: str) -> None:
    operation = await clients.fleet.create_membership(name, {"endpoint": {"gkeCluster": {"resourceLink": link}}})
    assert (await clients.fleet.operation(operation["name"]))["done"]


async def enable(clients: Clients, membership: str) -> None:
    body = {"spec": {INGRESS_FEATURE: {"configMembership": clients.fleet.membership_name(membership)}}}
    operation = await clients.fleet.create_feature(INGRESS_FEATURE, body)
    assert (await clients.fleet.operation(operation["name"]))["done"]


async def test_a_cluster_is_registered_with_marks_and_its_region(session: Session) -> None:
    row = Membership(session.spec, session.spec.clusters[0], session.clients)
    assert row.diff(await row.observe()).action == "create"

    await row.apply(row.create(), silent)
    seen = await row.wait(silent)

    assert seen["name"].endswith("/locations/global/memberships/gke-west")
    assert seen["endpoint"]["gkeCluster"]["resourceLink"] == f"//container.googleapis.com/{LINK}"
    assert seen["labels"] == marks.labels(session.spec)
    await row.apply(row.create(), silent)
    assert row.removal(seen).action == "delete"
    await row.delete(silent)
    await row.delete(silent)
    assert await row.observe() is None


async def test_a_membership_under_another_name_is_used_and_left(session: Session) -> None:
    await register(session.clients, "west-one", f"//container.googleapis.com/{LINK}")

    assert (await session.actions())["membership/gke-west"] == ("no-op", "adopted: global/west-one")
    assert (await session.actions(Verb.DESTROY))["membership/gke-west"] == ("no-op", "not made by mcig: left")


async def test_a_name_that_another_cluster_holds_is_told(session: Session) -> None:
    other = LINK.replace("gke-west", "gke-east").replace("europe-west3", "us-east4")
    await register(session.clients, "gke-west", f"//container.googleapis.com/{other}")
    row = Membership(session.spec, session.spec.clusters[0], session.clients)

    with pytest.raises(AlreadyExists, match=r"another cluster's: .*us-east4/clusters/gke-east") as caught:
        await row.apply(row.create(), silent)
    assert "gcloud container fleet memberships delete gke-west" in caught.value.fix


async def test_the_controller_is_enabled_for_an_adopted_membership_and_disabled_again(session: Session) -> None:
    await register(session.clients, "west-one", f"//container.googleapis.com/{LINK}")
    row = FleetIngress(session.spec, session.clients)
    assert await row.observe() is None

    await row.apply(row.create(), silent)
    seen = await row.wait(silent)

    assert seen.points_at.endswith("/locations/global/memberships/west-one")
    assert row.diff(seen).action == "no-op"
    await row.apply(row.create(), silent)
    assert row.removal(seen).action == "delete"
    await row.delete(silent)
    await row.delete(silent)
    assert await row.observe() is None


async def test_somebody_elses_controller_for_our_cluster_is_used_and_left(session: Session) -> None:
    await register(session.clients, "gke-west", f"//container.googleapis.com/{LINK}")
    await enable(session.clients, "gke-west")
    row = FleetIngress(session.spec, session.clients)

    step = row.diff(await row.wait(silent))

    assert (step.action, step.reason) == ("no-op", "adopted")
    assert row.removal(await row.observe()).action == "no-op"


async def test_another_config_cluster_is_never_changed(session: Session) -> None:
    await register(session.clients, "gke-west", f"//container.googleapis.com/{LINK}")
    await register(
        session.clients,
        "theirs",
        "//container.googleapis.com/projects/demo-project/locations/us-east4/clusters/gke-east",
    )
    await enable(session.clients, "theirs")
    row = FleetIngress(session.spec, session.clients)
    step = row.diff(await row.observe())

    assert step.action == "update"
    assert step.changes[0].field == "spec.multiclusteringress.configMembership"
    with pytest.raises(Conflict, match="global/theirs, not global/gke-west") as caught:
        await row.apply(step, silent)
    assert "fleet ingress update --config-membership=" in caught.value.fix
    feature = await session.clients.fleet.feature(INGRESS_FEATURE)
    assert feature is not None
    assert feature["spec"][INGRESS_FEATURE]["configMembership"].endswith("/theirs")


@pytest.mark.parametrize(
    ("feature", "action"),
    [
        ({"state": {"state": {"code": "OK"}}}, "no-op"),
        ({"state": {"state": {"code": "ERROR", "description": "no"}}}, "update"),
        ({}, "update"),
        ({"resourceState": {"state": "ENABLING"}}, "create"),
        ({"resourceState": {"state": "DISABLING"}}, "create"),
    ],
)
def test_a_feature_is_taken_as_far_as_it_is(
    spec: GatewaySpec, clients: Clients, feature: dict[str, Any], action: str
) -> None:
    name = clients.fleet.membership_name("gke-west")
    seen = Ingress({"spec": {INGRESS_FEATURE: {"configMembership": name}}, **feature}, name)

    assert FleetIngress(spec, clients).diff(seen).action == action


def test_the_feature_goes_before_every_membership(spec: GatewaySpec, clients: Clients) -> None:
    for cluster in spec.clusters:
        assert Membership(spec, cluster, clients).delete_after == {"fleet-ingress"}


def test_what_is_waited_for_is_told_in_words() -> None:
    assert in_words(Ingress({}, None).state) == "has not said yet how it is"
    assert in_words(Ingress({"resourceState": {"state": "ENABLING"}}, None).state) == "is being enabled"
    assert in_words("ERROR") == "is ERROR"
