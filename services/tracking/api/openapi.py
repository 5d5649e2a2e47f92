"""The OpenAPI document of tracking's HTTP API, for `schemas/openapi/tracking.json`."""

from typing import Any

from relance.observability.health import Health
from services.tracking.api.site import build

__all__ = ["document"]


def document() -> dict[str, Any]:
    """The document; needs no running service."""
    return build({}, Health(), b"").openapi()
