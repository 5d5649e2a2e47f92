"""The FastAPI app: health, the browser tracker and the document of everything; hot endpoints go round its router."""

import gzip
import hashlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from typing_extensions import override

from relance.observability.health import Health, Report
from services.tracking.api.operations import PATHS, SCHEMAS

__all__ = ["Site", "build"]


_UNCHANGED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "The browser has it already."}}


class _Script(Response):
    media_type = "text/javascript"


class Site(FastAPI):
    """FastAPI, but a request for a hot path goes straight to its endpoint: no router, no middleware, no models."""

    hot: Mapping[str, Any]

    @override
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        endpoint = self.hot.get(scope["path"]) if scope["type"] == "http" else None
        await (endpoint or super().__call__)(scope, receive, send)

    @override
    def openapi(self) -> dict[str, Any]:
        """The document, hot paths included."""
        if not self.openapi_schema:
            document = super().openapi()
            document["paths"] = {**PATHS, **document["paths"]}
            components = document.setdefault("components", {})
            components.setdefault("schemas", {}).update(SCHEMAS)
            components["securitySchemes"] = {
                "secretKey": {"type": "http", "scheme": "bearer", "description": "a shop's secret key"},
                "writeKey": {"type": "http", "scheme": "basic", "description": "a key as user name, no password"},
                "publishableKey": {"type": "apiKey", "in": "query", "name": "key"},
            }
            self.openapi_schema = document
        return self.openapi_schema


def build(hot: Mapping[str, Any], health: Health, script: bytes) -> Site:
    """The app; `hot` maps paths to ASGI endpoints, `script` is the browser tracker."""
    site = Site(title="Relance tracking", version="1", docs_url=None, redoc_url=None)
    site.hot = hot
    _add_health(site, health)
    _add_tracker(site, script)
    return site


def _add_health(site: Site, health: Health) -> None:
    def shown(report: Report) -> Response:
        return JSONResponse({"status": report.status}, report.http_status)  # reasons are told at the metrics port

    @site.get("/health/live", tags=["health"])
    async def live() -> Response:
        """Whether this process can make progress."""
        return shown(health.live())

    @site.get("/health/ready", tags=["health"])
    async def ready() -> Response:
        """Whether it may be given work: Kafka can be reached, the shops are known, and it is not about to end."""
        return shown(health.ready())


def _add_tracker(site: Site, script: bytes) -> None:
    packed = gzip.compress(script, mtime=0)
    etag = f'"{hashlib.sha256(script).hexdigest()[:32]}"'
    headers = {
        "etag": etag,
        "cache-control": "public, max-age=3600, stale-while-revalidate=86400",
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "nosniff",
        "vary": "accept-encoding",
    }

    @site.head("/relance.js", include_in_schema=False)
    @site.get("/relance.js", tags=["browser"], response_class=_Script, responses=_UNCHANGED)
    async def tracker(request: Request) -> Response:
        """The browser tracker; see docs/browser-tracker.md."""
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            shown = headers | {"content-encoding": "gzip"}
            return _Script(packed, headers=shown)
        return _Script(script, headers=headers)
