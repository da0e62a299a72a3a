"""What routes ask for, typed, in one place."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection

from visage.admin.access import Principal
from visage.service.service import Service
from visage.service.upkeep import Upkeep
from visage.service.verbs import Verbs


def get_service(connection: HTTPConnection) -> Service:
    """The app's service, of a request or a WebSocket."""
    service: Service = connection.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(get_service)]


def get_principal(connection: HTTPConnection) -> Principal | None:
    """Who sends the request; None where nobody said so, at a route that is open to all."""
    principal: Principal | None = connection.state.principal
    return principal


PrincipalDep = Annotated[Principal | None, Depends(get_principal)]


def get_verbs(connection: HTTPConnection) -> Verbs:
    """What the installation does for whoever asks."""
    verbs: Verbs = connection.app.state.verbs
    return verbs


VerbsDep = Annotated[Verbs, Depends(get_verbs)]


def get_upkeep(connection: HTTPConnection) -> Upkeep:
    """What keeps the installation well."""
    upkeep: Upkeep = connection.app.state.upkeep
    return upkeep


UpkeepDep = Annotated[Upkeep, Depends(get_upkeep)]
