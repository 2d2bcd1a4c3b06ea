"""The rows ``iam/node-sa`` and ``iam/mci-agent``: who the nodes are, and what the multi-cluster controller may do.

Invariant: of the project's IAM policy only our own member's unconditional bindings are changed, on exactly the policy
that was read; nobody else's member, role or condition is ever written differently.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from backend import catalog
from backend.clients import Clients
from backend.clients.container import Clusters
from backend.clients.google import Json
from backend.clients.projects import bound
from backend.engine.resource import About, Change, Departure, Note, Resource, ResourceId, Step
from backend.errors import AlreadyExists, InvalidRequest, ServiceDisabled
from backend.resources import marks, services
from backend.resources.fleet import INGRESS_ID
from backend.resources.gke import NODE_ACCOUNT, account_id, dig, node_account
from backend.resources.sharing import OWN, Teardown, others
from backend.resources.waiting import Watch
from backend.spec import GatewaySpec

AGENT_ID = ResourceId("iam/mci-agent")
NODE_ROLES = ("roles/autoscaling.metricsWriter", "roles/container.defaultNodeServiceAccount")
"""What a node needs: to report metrics that the load balancer balances by, and what GKE asks of every node."""
AGENT_ROLES = ("roles/container.admin",)
TIMEOUT_S = 5 * 60.0
"""Other APIs know of a new account, or of a new service agent, a minute or two after it was made."""
_POLICY_PERMISSIONS = ("resourcemanager.projects.getIamPolicy", "resourcemanager.projects.setIamPolicy")


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """The nodes' service account as it is."""

    account: Json
    roles: frozenset[str]
    """Roles that the project binds it to without a condition."""
    users: tuple[str, ...] = ()
    """Node pools that stay after a destroy and run as it, in words."""


class NodeAccount(Resource[NodeIdentity]):
    """The service account that every node of the stack runs as."""

    def __init__(self, spec: GatewaySpec, clients: Clients, teardown: Teardown = OWN) -> None:
        self.id = NODE_ACCOUNT
        self._teardown = teardown
        self.depends_on = frozenset({services.ID})
        self._spec = spec
        self._clients = clients
        self._email = node_account(spec, clients.project)
        self._member = f"serviceAccount:{self._email}"

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        project = self._clients.project
        grants = "; ".join(_grant_command(project, self._member, role) for role in NODE_ROLES)
        return About(
            title=f"Create the nodes' service account {account_id(self._spec)} and bind {len(NODE_ROLES)} roles to it",
            command=(
                f"gcloud iam service-accounts create {account_id(self._spec)} "
                f"--description='{marks.description(self._spec)}' --project={project}; {grants}"
            ),
            permissions=(
                "iam.serviceAccounts.create",
                "iam.serviceAccounts.get",
                "iam.serviceAccounts.delete",
                *_POLICY_PERMISSIONS,
            ),
            departures=(
                Departure(
                    document="wants the nodes' account to write to the Autoscaling API and names neither role nor "
                    "account",
                    mcig=f"makes an account of the stack's own and binds {' and '.join(NODE_ROLES)} to it",
                    because="the default account may have lost its roles, or hold far more than nodes need",
                ),
            ),
            estimate_s=catalog.duration("iam"),
        )

    async def observe(self) -> NodeIdentity | None:
        """Give the account and the roles it is bound to."""
        self.unread = None
        try:
            account, policy, listed = await asyncio.gather(
                self._clients.iam.account(self._email),
                self._clients.projects.policy(),
                self._clients.container.clusters(),
            )
        except ServiceDisabled as error:
            self.unread = error
            return None
        if account is None:
            return None
        return NodeIdentity(account, bound(policy, self._member), tuple(self._users(listed)))

    def diff(self, observed: NodeIdentity | None) -> Step:
        """Create it, or bind what is missing."""
        if observed is None:
            return self.create()
        changes = [Change(role, "not bound", "bound") for role in NODE_ROLES if role not in observed.roles]
        if observed.account.get("disabled"):
            changes.insert(0, Change("disabled", True, False))
        return self.update(*changes, reason=marks.adopted(self._spec, observed.account.get("description", "")))

    def removal(self, observed: NodeIdentity | None) -> Step:
        """Delete it when it was made for this stack."""
        if observed is not None and not self._ours(observed):
            whose = marks.whose(self._spec, observed.account.get("description", ""))
            return self.no_op(f"{whose}: left, with the roles that it has")
        if observed is not None and observed.users:
            undo = f"gcloud iam service-accounts delete {self._email} --project={self._clients.project}"
            return self.no_op(f"left: {', '.join(observed.users)} runs as it; `{undo}` once none does")
        return super().removal(observed)

    async def apply(self, step: Step, note: Note) -> None:
        """Make the account and bind its roles."""
        watch = self._watch(note)
        seen = await self._clients.iam.account(self._email)
        if seen is None:
            await self._create(note)
        elif seen.get("disabled"):
            raise InvalidRequest(
                f"the nodes' service account {self._email} is disabled",
                cause="somebody switched it off, and nodes that run as it cannot start",
                fix=f"gcloud iam service-accounts enable {self._email} --project={self._clients.project}",
            )
        await _grant(self._clients, watch, self._member, NODE_ROLES)

    async def wait(self, note: Note) -> NodeIdentity:
        """Return once the account is there with its roles."""
        watch = self._watch(note)

        async def bound_to_all() -> NodeIdentity | None:
            seen = await self.observe()
            if seen is not None and seen.roles >= set(NODE_ROLES):
                return seen
            watch.saw("waiting until the policy shows the new roles")
            return None

        return await watch.until(bound_to_all)

    async def delete(self, note: Note) -> None:
        """Unbind its roles and then delete it; the other way round its name would stay in the policy for good."""
        seen = await self.observe()
        if seen is None:
            return
        if await self._clients.projects.revoke(self._member, sorted(seen.roles)):
            note(f"unbound {', '.join(sorted(seen.roles))}")
        await self._clients.iam.delete_account(self._email)

    def _users(self, listed: Clusters) -> Iterator[str]:
        named = {(cluster.region, cluster.name) for cluster in self._spec.clusters}
        for place, cluster in sorted(listed.found.items()):
            taken = self._teardown.adopted and place in named
            if marks.goes(self._spec, cluster.get("resourceLabels"), adopted_too=taken):
                continue
            for pool in cluster.get("nodePools", ()):
                if dig(pool, "config.serviceAccount") == self._email and not marks.pool_goes(self._spec, pool):
                    yield f"node pool {pool['name']} of {place[1]}"

    def _ours(self, observed: NodeIdentity) -> bool:
        return marks.ours(self._spec, observed.account.get("description"))

    async def _create(self, note: Note) -> None:
        try:
            await self._clients.iam.create_account(
                account_id(self._spec),
                title=f"Nodes of {self._spec.name}",
                description=marks.description(self._spec),
            )
        except AlreadyExists:
            return
        note(f"made {self._email}")

    def _watch(self, note: Note) -> Watch:
        look = f"gcloud iam service-accounts describe {self._email} --project={self._clients.project}"
        return Watch(note, f"making service account {self._email}", timeout_s=TIMEOUT_S, look=look)


@dataclass(frozen=True, slots=True)
class AgentGrant:
    """The grant to the multi-cluster controller as it is."""

    member: str
    needed_by: tuple[str, ...] = ()
    """Others in the project who may live on the grant; only looked for when shared things are to go."""


class IngressAgent(Resource[AgentGrant]):
    """The grant with which the fleet's multi-cluster controller works on the clusters.

    It is the project's and not the stack's: a destroy leaves it unless shared things are to go and nobody else is left.
    """

    def __init__(self, spec: GatewaySpec, clients: Clients, teardown: Teardown = OWN) -> None:
        self.id = AGENT_ID
        self.depends_on = frozenset({INGRESS_ID})
        self.delete_after = frozenset(ResourceId(f"export@{cluster.name}") for cluster in spec.targets)
        self._spec = spec
        self._clients = clients
        self._teardown = teardown

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        member = f"serviceAccount:{agent('PROJECT_NUMBER')}"
        return About(
            title="Let the multi-cluster controller work on the clusters",
            command=_grant_command(self._clients.project, member, AGENT_ROLES[0]),
            permissions=("resourcemanager.projects.get", *_POLICY_PERMISSIONS),
            departures=(
                Departure(
                    document="grants the multi-cluster controller nothing",
                    mcig=f"binds {AGENT_ROLES[0]} to its service agent where that is missing",
                    because="without it the controller may not read the clusters, and no Gateway is programmed",
                ),
            ),
            estimate_s=catalog.duration("iam"),
        )

    async def observe(self) -> AgentGrant | None:
        """Give the grant; ``None`` while there is none."""
        projects = self._clients.projects
        self.unread = None
        try:
            number, policy = await asyncio.gather(projects.number(), projects.policy())
        except ServiceDisabled as error:
            self.unread = error
            return None
        member = f"serviceAccount:{agent(number)}"
        if not bound(policy, member) >= set(AGENT_ROLES):
            return None
        if not self._teardown.shared:
            return AgentGrant(member)
        return AgentGrant(member, await others(self._spec, self._clients, self._teardown))

    def diff(self, observed: AgentGrant | None) -> Step:
        """Grant it where it is missing."""
        return self.create() if observed is None else self.no_op()

    def removal(self, observed: AgentGrant | None) -> Step:
        """Leave it; take it back when shared things are to go and nobody else needs it."""
        if observed is None or (self._teardown.shared and not observed.needed_by):
            return super().removal(observed)
        undo = _revoke_command(self._clients.project, observed.member, AGENT_ROLES[0])
        if observed.needed_by:
            return self.no_op(f"left: {', '.join(observed.needed_by)} may need it; `{undo}` takes it back")
        return self.no_op(f"left: other gateways of the fleet may need it; `{undo}` takes it back")

    async def apply(self, step: Step, note: Note) -> None:
        """Grant it as soon as the agent exists."""
        await _grant(self._clients, self._watch(note), await self._member(), AGENT_ROLES)

    async def wait(self, note: Note) -> AgentGrant:
        """Return once the policy shows it."""
        return await self._watch(note).until(self.observe)

    async def delete(self, note: Note) -> None:
        """Take it back."""
        await self._clients.projects.revoke(await self._member(), AGENT_ROLES)

    async def _member(self) -> str:
        return f"serviceAccount:{agent(await self._clients.projects.number())}"

    def _watch(self, note: Note) -> Watch:
        look = f"gcloud projects get-iam-policy {self._clients.project}"
        return Watch(note, "granting the multi-cluster controller its role", timeout_s=TIMEOUT_S, look=look)


def agent(number: str) -> str:
    """Email of the multi-cluster controller's service agent in the project of a number."""
    return f"service-{number}@gcp-sa-multiclusteringress.iam.gserviceaccount.com"


async def _grant(clients: Clients, watch: Watch, member: str, roles: tuple[str, ...]) -> None:
    async def known() -> bool | None:
        try:
            await clients.projects.grant(member, roles)
        except InvalidRequest as error:
            if "does not exist" not in error.message:
                raise
            watch.saw(f"waiting until {member.partition(':')[2]} is known everywhere")
            return None
        return True

    await watch.until(known)
    watch.saw(f"bound {', '.join(roles)}")


def _grant_command(project: str, member: str, role: str) -> str:
    return f"gcloud projects add-iam-policy-binding {project} --member={member} --role={role} --condition=None"


def _revoke_command(project: str, member: str, role: str) -> str:
    return f"gcloud projects remove-iam-policy-binding {project} --member={member} --role={role} --condition=None"
