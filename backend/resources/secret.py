"""The row ``secret/hf-token@CLUSTER``: with whose token a cluster's model servers load the model.

Invariant: the token's value goes into the body of one API request and nowhere else; what is observed of a Secret has no
values.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

from pydantic import SecretStr

from backend import catalog
from backend.clients.kinds import NAMESPACE, SECRET
from backend.engine.resource import About, Change, Departure, Note, Resource, ResourceId, Step
from backend.errors import NotFound, UsageError
from backend.resources import marks
from backend.resources.compare import ABSENT
from backend.resources.keys import DELETE_TIMEOUT_S, Key, gone, kubectl, look
from backend.resources.manifests import SECRET_KEY, SECRET_NAME, Object, is_ours, labels_of, marked, namespace
from backend.resources.waiting import Watch
from backend.spec import ClusterSpec, GatewaySpec

if TYPE_CHECKING:
    from backend.clients import Clients
    from backend.clients.kube import Kube

TOKEN_DIGEST = "mcig/token-digest"  # noqa: S105 - the name of an annotation
"""Annotation that tells whether another token was given since, without telling the token."""
SECRET_MANAGER = "mcig-secret"  # noqa: S105 - the name of a field manager


class HfTokenSecret(Resource[Object]):
    """The Secret from which the model servers take the Hugging Face token, and its namespace."""

    def __init__(
        self, spec: GatewaySpec, cluster: ClusterSpec, clients: Clients, *, hf_token: SecretStr | None
    ) -> None:
        self.id = ResourceId(f"secret/hf-token@{cluster.name}")
        self.within = ResourceId(f"cluster/{cluster.name}")
        self._spec, self._cluster, self._clients = spec, cluster, clients
        self._token = hf_token
        self._key = Key(SECRET, spec.pool.namespace, SECRET_NAME)
        self._namespace = Key(NAMESPACE, None, spec.pool.namespace)

    @property
    def about(self) -> About:
        """What can be said without asking any cloud."""
        return About(
            title=f"Give {self._cluster.name} the Hugging Face token",
            region=self._cluster.region,
            command=f'printf %s "$HF_TOKEN" | {kubectl(self._clients.project, self._cluster)} create secret generic '
            f"{SECRET_NAME} -n {self._spec.pool.namespace} --from-file={SECRET_KEY}=/dev/stdin",
            permissions=("container.secrets.get", "container.secrets.create", "container.secrets.update"),
            departures=(
                Departure(
                    document="puts the token into kubectl's command line",
                    mcig="sends it in the body of an API request",
                    because="a command line is kept in the shell's history and shown to everybody on the machine",
                ),
                Departure(
                    document="makes the Secret in whichever context happens to be current",
                    mcig="names the cluster and the namespace",
                    because="a Secret in another place leaves the model servers waiting for theirs",
                ),
            ),
            estimate_s=catalog.duration("secret"),
        )

    async def observe(self) -> Object | None:
        """Give the Secret without its values; ``None`` when absent."""
        try:
            found = await self._kube.get(SECRET, self._key.namespace, SECRET_NAME)
        except NotFound:
            return None
        return None if found is None else found | {"data": dict.fromkeys(found.get("data") or {}, "")}

    def diff(self, observed: Object | None) -> Step:
        """Make it, or mend it; one that has a token is left alone unless another token was given."""
        if observed is None:
            return self.create()
        if SECRET_KEY not in observed["data"]:
            other = marks.other_stack(self._spec, labels_of(observed))
            reason = marks.refused(other) if other else ""
            return self.update(Change(f"data.{SECRET_KEY}", ABSENT, "present"), reason=reason)
        if not is_ours(observed, self._spec):
            return self.no_op(marks.adopted(self._spec, labels_of(observed)))
        known = (observed["metadata"].get("annotations") or {}).get(TOKEN_DIGEST)
        if self._token is not None and known != self._digest(self._token):
            return self.update(Change(f"data.{SECRET_KEY}", "another token", "the token that was given"))
        return self.no_op()

    def removal(self, observed: Object | None) -> Step:
        """Delete it when it was made for this stack."""
        if observed is not None and not is_ours(observed, self._spec):
            return self.no_op(f"{marks.whose(self._spec, labels_of(observed))}: left")
        return super().removal(observed)

    async def apply(self, step: Step, note: Note) -> None:
        """Send the Secret; raises ``UsageError`` when there is no token to send."""
        if self._token is None:
            raise UsageError(
                f"no Hugging Face token for {self.id}",
                cause="HF_TOKEN is not set and `hf auth login` was not done on this machine",
                fix="export HF_TOKEN=hf_... (from huggingface.co/settings/tokens), then run the same command again",
            )
        if self._spec.pool.namespace != "default":
            await self._make_namespace()
        seen = await self.observe()
        foreign = seen is not None and not is_ours(seen, self._spec)
        if seen is not None and (other := marks.other_stack(self._spec, labels_of(seen))):
            raise marks.refusal(other, f"Secret {SECRET_NAME} on {self._cluster.name}")
        body: Object = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": SECRET_NAME, "namespace": self._spec.pool.namespace},
            "data": {SECRET_KEY: base64.b64encode(self._token.get_secret_value().encode()).decode()},
        }
        if not foreign:
            body["type"] = "Opaque"
            body["metadata"]["annotations"] = {TOKEN_DIGEST: self._digest(self._token)}
            body = marked(body, self._spec)
        await self._kube.apply(body, manager=SECRET_MANAGER, force=seen is not None and not foreign)

    async def wait(self, note: Note) -> Object:
        """Return the Secret; it is there as soon as it was accepted."""
        seen = await self.observe()
        if seen is None:
            raise NotFound(f"{self.id} vanished after it was made", fix="run the same command again")
        return seen

    async def delete(self, note: Note) -> None:
        """Delete it, and the namespace where mcig made that, and return once they are gone."""
        kube, mine = self._kube, []
        for key, found in (await self._existing()).items():
            if is_ours(found, self._spec):
                await kube.delete(key.kind, key.namespace, key.name)
                mine.append(key)
        look = f"{kubectl(self._clients.project, self._cluster)} get -n {self._spec.pool.namespace} secrets"
        watch = Watch(note, f"deleting {self.id}", timeout_s=DELETE_TIMEOUT_S, look=look)
        await watch.until(lambda: gone(kube, mine, watch))

    @property
    def _kube(self) -> Kube:
        return self._clients.kube(self._cluster.name)

    async def _existing(self) -> dict[Key, Object]:
        try:
            return await look(self._kube, [self._key, self._namespace])
        except NotFound:
            return {}

    async def _make_namespace(self) -> None:
        if await self._kube.get(NAMESPACE, None, self._spec.pool.namespace) is None:
            await self._kube.apply(marked(namespace(self._spec), self._spec), manager=SECRET_MANAGER)

    def _digest(self, token: SecretStr) -> str:
        salt = marks.description(self._spec).encode()
        return hmac.new(salt, token.get_secret_value().encode(), hashlib.sha256).hexdigest()[:16]


def hf_token_secret(
    spec: GatewaySpec, cluster: ClusterSpec, clients: Clients, *, hf_token: SecretStr | None
) -> HfTokenSecret:
    """The row ``secret/hf-token@CLUSTER``."""
    return HfTokenSecret(spec, cluster, clients, hf_token=hf_token)
