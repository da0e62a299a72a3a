"""The long form of tests/api/test_openapi.py: `python -m tests.attacks.fuzz_api [EXAMPLES]`, on a server of its own.

Whatever follows from the OpenAPI document, and whatever does not, gets a reply that the document describes, and never
a 5xx. Prints how many requests were made.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import start
from visage.api.app import create_app
from visage.settings import Settings

Statuses = Counter[tuple[str, int]]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


def attack(
    cases: SearchStrategy[schemathesis.Case[Any]], examples: int, url: str, mode: str, statuses: Statuses
) -> None:
    """Send so many cases, and check and count the replies."""

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def send(case: schemathesis.Case[Any]) -> None:
        statuses[mode, case.call_and_validate(base_url=url, checks=CHECKS, timeout=30).status_code] += 1

    try:
        send()
    except Unsatisfiable:  # an operation without parameters has nothing that could be wrong
        statuses[f"{mode}, no case to be had", 0] += 1


def main(examples: int) -> None:
    """Run every operation with so many examples of either kind."""
    schema = schemathesis.openapi.from_dict(create_app(Settings()).openapi())
    statuses: Statuses = Counter()
    with tempfile.TemporaryDirectory() as folder:
        server = start(Path(folder) / "data")
        try:
            for result in schema.get_all_operations():
                assert isinstance(result, Ok)
                for mode in GenerationMode:
                    strategy = result.ok().as_strategy(generation_mode=mode)
                    attack(strategy, examples, server.url, mode.value, statuses)
        finally:
            server.stop()
    for (kind, status), count in sorted(statuses.items()):
        print(f"{kind} {status}: {count:,}")  # noqa: T201
    print(f"{statuses.total():,} requests, no 5xx, every reply as described")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
