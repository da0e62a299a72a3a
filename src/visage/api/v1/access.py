"""Signing in, API keys, the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from visage import errors
from visage.admin.access import SESSION_DAYS, Principal
from visage.api.deps import PrincipalDep, ServiceDep
from visage.api.envelope import Envelope
from visage.api.gate.credentials import COOKIE, address_of
from visage.api.openapi import refusals
from visage.api.v1.fields import clean_label
from visage.api.v1.schemas import access as schemas
from visage.api.v1.schemas.access import AuditCheck, AuditPage, CreatedKey, Keys, NewKey, RevokedKey, Session, SignIn

router = APIRouter(tags=["access"])


@router.get("/session", operation_id="get_session", responses=refusals())
async def get_session(service: ServiceDep, principal: PrincipalDep) -> Envelope[Session]:
    """Must a key be shown here, and what may the one that asks do?"""
    return Envelope(data=_session(service.access.required, principal))


@router.post(
    "/session",
    operation_id="sign_in",
    responses=refusals(errors.Unauthenticated, errors.TooManyGuesses, errors.BankError, errors.NotAccounted),
)
async def sign_in(request: Request, response: Response, service: ServiceDep, sent: SignIn) -> Envelope[Session]:
    """Exchange a key for a cookie, which scripts of the page cannot read and other sites cannot use."""
    access = service.access
    key = access.check_key(sent.key, address_of(request))
    token = await service.lanes.account(access.sign_in, key)
    principal = request.state.principal = Principal(key.role, key.key_id)
    response.set_cookie(
        COOKIE,
        token,
        max_age=SESSION_DAYS * 24 * 3600,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return Envelope(data=_session(access.required, principal))


@router.delete("/session", operation_id="sign_out", responses=refusals(errors.BankError, errors.NotAccounted))
async def sign_out(response: Response, service: ServiceDep, principal: PrincipalDep) -> Envelope[Session]:
    """Forget the cookie, here and in the browser; its open connections are closed."""
    access = service.access
    if principal is not None and principal.session_hash is not None:
        await service.lanes.account(access.sign_out, principal.session_hash)
        access.hang_up()
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return Envelope(data=_session(access.required, None))


@router.get("/keys", operation_id="list_keys", responses=refusals(errors.BankError))
async def list_keys(service: ServiceDep) -> Envelope[Keys]:
    """Every key there ever was, oldest first."""
    keys = await service.lanes.account(service.access.all_keys)
    return Envelope(data=Keys(keys=[schemas.key(each) for each in keys]))


@router.post("/keys", operation_id="create_key", responses=refusals(errors.BankError, errors.NotAccounted))
async def create_key(service: ServiceDep, new: NewKey) -> Envelope[CreatedKey]:
    """Make a key. It is in this reply, and never again."""
    key, secret = await service.lanes.account(service.access.create_key, clean_label(new.label), new.role)
    return Envelope(data=schemas.created_key(key, secret))


@router.delete(
    "/keys/{key_id}",
    operation_id="revoke_key",
    responses=refusals(errors.KeyNotFound, errors.BankError, errors.NotAccounted),
)
async def revoke_key(service: ServiceDep, key_id: str) -> Envelope[RevokedKey]:
    """Make a key worthless at once: its sessions end, its open connections are closed."""
    await service.lanes.account(service.access.revoke_key, key_id)
    service.access.hang_up()
    return Envelope(data=RevokedKey(key_id=key_id.lower()))


@router.get("/audit", operation_id="list_audit", responses=refusals(errors.BankError))
async def list_audit(
    service: ServiceDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[int | None, Query(description="`next_before` of the page before", ge=1, lt=2**63)] = None,
) -> Envelope[AuditPage]:
    """Who did what to which id, with which outcome, when; newest first."""
    entries = await service.lanes.account(service.audit.page, limit, before)
    more = bool(entries) and entries[-1].number > 1
    page = AuditPage(
        entries=[schemas.audit_entry(entry) for entry in entries],
        next_before=entries[-1].number if more else None,
    )
    return Envelope(data=page)


@router.get("/audit/verify", operation_id="verify_audit", responses=refusals(errors.BankError))
async def verify_audit(
    service: ServiceDep,
    head: Annotated[
        str | None, Query(description="A `head` noted down earlier, which must still be there", max_length=100)
    ] = None,
) -> Envelope[AuditCheck]:
    """Is the audit log whole?"""
    return Envelope(data=schemas.audit_check(await service.lanes.account(service.audit.verify, head)))


def _session(required: bool, principal: Principal | None) -> Session:
    if principal is None:
        return Session(required=required, signed_in=False, role=None)
    return Session(required=required, signed_in=principal.key_id is not None, role=principal.role)
