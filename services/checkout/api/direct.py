"""Pages are asked for a thousand times as often as anything else: they are found by their path, segment by segment,
and answered before the framework sets up what it needs for APIs. Whatever is not such a page goes to the framework.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Direct", "endpoint_of"]

Endpoint = Callable[[Request], Awaitable[Response]]

_ENDPOINT: Final = "relance_endpoint"


def endpoint_of(endpoint: Endpoint) -> Endpoint:
    """Mark an endpoint as one that answers whatever happens and reads what it needs: nothing has to stand around it."""
    setattr(endpoint, _ENDPOINT, True)
    return endpoint


class _Place:
    """What can follow in a path: words, or a value; and who answers here by method, with the names of his values."""

    __slots__ = ("answers", "value", "words")

    def __init__(self) -> None:
        self.words: dict[str, _Place] = {}
        self.value: _Place | None = None
        self.answers: dict[str, tuple[Endpoint, tuple[str, ...]]] = {}


class Direct:
    """An ASGI application: marked routes by itself, all else by `app`."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._root = _Place()
        for route in routes:
            is_ours = isinstance(route, Route) and getattr(route.endpoint, _ENDPOINT, False)
            if isinstance(route, Route) and is_ours and ":path}" not in route.path:  # what takes any path comes last
                self._add(route)

    def _add(self, route: Route) -> None:
        place, names = self._root, list[str]()
        for segment in route.path.split("/")[1:]:
            if segment.startswith("{"):
                names.append(segment[1:-1])
                place.value = place.value or _Place()
                place = place.value
            else:
                place = place.words.setdefault(segment, _Place())
        for method in (route.methods or set()) & {"GET", "POST"}:
            place.answers.setdefault(method, (route.endpoint, tuple(names)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        endpoint, scope["path_params"] = found
        response = await endpoint(Request(scope, receive, send))
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[Endpoint, dict[str, str]] | None:
        place, values = self._root, list[str]()
        for segment in scope["path"].split("/")[1:]:
            there = place.words.get(segment)
            if there is None:
                there = place.value
                if there is None or not segment:
                    return None
                values.append(segment)
            place = there
        if (found := place.answers.get(scope["method"])) is None:
            return None
        endpoint, names = found
        return endpoint, dict(zip(names, values, strict=True))
