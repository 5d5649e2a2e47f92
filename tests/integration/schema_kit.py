"""Asks an API whatever its OpenAPI document allows, and what it forbids (schemathesis), without its pytest plugin."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

__all__ = ["ask_all"]

Key = Callable[[str], Mapping[str, Any]]


def ask_all(url: str, key_of: Key, examples: int) -> list[str]:
    """Ask each operation of the document at `url` so often in either way, and check that every answer is one that the
    document names; the names of the operations. `key_of` a path: what opens it, as arguments of `requests`.
    """
    document = schemathesis.openapi.from_url(url)
    asked: list[str] = []
    for found in document.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        asked.append(f"{operation.method.upper()} {operation.path}")
        for mode in schemathesis.GenerationMode.__members__.values():
            _ask(operation, mode, key_of(operation.path), examples)
    return asked


def _ask(operation: Any, mode: Any, key: Mapping[str, Any], examples: int) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None,
        phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip
    def each(case: Any) -> None:
        # A body that the document allows may still mean nothing, which a 422 tells; the keys are given here, and tried
        # elsewhere.
        case.validate_response(case.call(timeout=20, **key), excluded_checks=[positive_data_acceptance, ignored_auth])

    with contextlib.suppress(Unsatisfiable):  # in an operation without parameters nothing can be wrong
        each()
