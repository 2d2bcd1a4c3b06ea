"""Opening a stack: its cloud connected, its rows declared; nothing is changed and nothing heavy loads before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from backend.engine.resource import Resource
from backend.places import Places
from backend.spec import GatewaySpec
from backend.stack.opened import Stack
from backend.surroundings import hugging_face_token, kubeconfig_of, project_of


@asynccontextmanager
async def open_stack(
    spec: GatewaySpec,
    *,
    environ: Mapping[str, str],
    places: Places,
    speed: float | None = None,
    shared: bool = False,
    include_adopted: bool = False,
) -> AsyncIterator[Stack]:
    """Connect to a spec's cloud; an emulated one is started where none runs, at ``speed`` or at the spec's own.

    ``shared`` and ``include_adopted`` say that a destroy takes, beside what was made for the stack, also what it shares
    with nobody who is left, and clusters that mcig did not make.
    Raises ``UsageError`` without a project, ``CredentialsError`` and ``RehearsalError``.
    """
    from backend.clients import Clients, ahead
    from backend.clients.connect import connect
    from backend.preflight.survey import Survey
    from backend.resources import declare
    from backend.resources.sharing import Teardown

    if places.stack(spec.name).exists():
        ahead.for_clusters()
    project = project_of(spec, environ)
    spec = spec.model_copy(update={"project": project})
    connection = await connect(spec, project=project, home=places.emulator, speed=speed)
    clients = Clients(connection, spec)
    survey = Survey(clients, places=places, environ=environ)
    try:
        token = hugging_face_token(spec.target, environ)

        def made(teardown: Teardown) -> Stack:
            def rows(of: GatewaySpec) -> Sequence[Resource[Any]]:
                clients.know(of)
                kubeconfig = kubeconfig_of(of, environ, places)
                return declare(of, clients, hf_token=token, kubeconfig=kubeconfig, teardown=teardown)

            return Stack(
                spec,
                connection=connection,
                clients=clients,
                declare=rows,
                places=places,
                survey=survey,
                token=token,
                another=made,
            )

        yield made(Teardown(shared=shared, adopted=include_adopted))
    finally:
        await survey.close()
        await clients.close()
