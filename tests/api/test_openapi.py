"""The OpenAPI document is true, and nothing that can be derived from it breaks the server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import Server
from visage.api.app import create_app
from visage.settings import Settings

pytest_plugins = ["schemathesis.pytest.plugin"]

DOCUMENT: dict[str, Any] = create_app(Settings()).openapi()
OPERATIONS = [(method, path) for path, item in DOCUMENT["paths"].items() for method in item]

schema = schemathesis.openapi.from_dict(DOCUMENT)


@schema.parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_whatever_follows_from_the_document_gets_a_reply_that_it_describes(
    case: schemathesis.Case[Any], server: Server
) -> None:
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
        negative_data_rejection,
    ]
    case.call_and_validate(base_url=server.url, checks=checks, timeout=30)


@pytest.mark.parametrize("method,path", OPERATIONS)
def test_every_route_refuses_in_the_envelope(client: httpx.Client, server: Server, method: str, path: str) -> None:
    url = server.url + re.sub(r"\{\w+\}", "no-such-id", path)
    replies = [client.request("TRACE", url), client.request(method, url, headers={"Content-Type": "text/plain"})]
    for reply in replies:
        assert reply.headers["X-Request-ID"]
        if reply.headers["content-type"] in {"application/zip", "application/octet-stream"}:
            continue  # an export and a backup need nothing that could be wrong
        body = reply.json()
        assert body.keys() == {"success", "data", "error"}
        if reply.status_code >= 400:
            assert (body["success"], body["data"]) == (False, None)
            assert body["error"]["code"].isupper()
            assert body["error"]["message"]
    assert replies[0].status_code == 405


def test_every_operation_has_a_stable_id_and_documents_its_errors() -> None:
    ids = [DOCUMENT["paths"][path][method]["operationId"] for method, path in OPERATIONS]
    assert sorted(ids) == [
        "add_photos",
        "backup",
        "bank_report",
        "confirm_unknown",
        "create_key",
        "delete_person",
        "delete_photo",
        "detect",
        "dismiss_unknown",
        "export_all",
        "export_all_by_post",
        "export_person",
        "export_person_by_post",
        "get_person",
        "get_photo",
        "get_session",
        "get_settings",
        "get_unknown_picture",
        "health",
        "identify",
        "is_me",
        "list_audit",
        "list_due",
        "list_keys",
        "list_persons",
        "list_unknowns",
        "merge_persons",
        "not_me",
        "purge",
        "register",
        "register_unknown",
        "restore",
        "revoke_key",
        "sign_in",
        "sign_out",
        "undo",
        "update_person",
        "update_settings",
        "verify",
        "verify_audit",
    ]
    for method, path in OPERATIONS:
        responses = DOCUMENT["paths"][path][method]["responses"]
        assert {"200", "422", "500", "503"} <= responses.keys()
        assert "HTTPValidationError" not in str(responses)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=st.dictionaries(
        st.sampled_from(["name", "relationship", "metadata", "person_id", "image", "box", "box_2", "other"]),
        st.text(max_size=300),
        max_size=5,
    ),
    image=st.binary(max_size=300) | st.just(b"\xff\xd8\xff\xe0") | st.just(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    route=st.sampled_from(["register", "identify", "detect", "verify", "persons/x/photos"]),
)
def test_no_form_breaks_the_server(client: httpx.Client, fields: Mapping[str, str], image: bytes, route: str) -> None:
    try:
        reply = client.post(f"/{route}", data=fields, files={"image": image})
    except UnicodeEncodeError:
        return  # the client cannot send it
    assert 400 <= reply.status_code < 500
    assert reply.json()["success"] is False


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400), st.sampled_from(["multipart/form-data; boundary=x", "application/json", "text/x"]))
def test_no_body_breaks_the_server(client: httpx.Client, body: bytes, kind: str) -> None:
    for method, path in (("POST", "/register"), ("PATCH", "/persons/x"), ("POST", "/identify")):
        reply = client.request(method, path, content=body, headers={"Content-Type": kind})
        assert 400 <= reply.status_code < 500
