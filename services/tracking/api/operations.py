"""What the OpenAPI document says of the plain ASGI endpoints. Event types have their own schemas in schemas/events."""

from typing import Any, Final

from services.tracking.api.foreign import Segment

__all__ = ["PATHS", "SCHEMAS"]

_EVENT: Final = {"$ref": "#/components/schemas/Event"}
_EVENTS: Final = {"type": "array", "items": _EVENT}
_PROBLEM_JSON: Final = "application/problem+json"

SCHEMAS: Final[dict[str, Any]] = {
    "Event": {
        "description": "A CloudEvent 1.0 in structured mode; by its type, one of schemas/events/*.schema.json",
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "description": "with source it identifies the event: sent again, it counts once"},
            "source": {"type": "string", "examples": ["/shops/demo"]},
            "type": {"type": "string", "examples": ["cart.updated"]},
            "time": {"type": "string", "format": "date-time", "description": "when it happened"},
            "senttime": {"type": "string", "format": "date-time", "description": "the device's clock when sending"},
            "visitorid": {"type": "string"},
            "personid": {"type": "string"},
            "device": {"enum": ["desktop", "mobile", "tablet"]},
            "returning": {"type": "boolean"},
            "data": {"type": "object"},
        },
    },
    "Fault": {
        "type": "object",
        "required": ["path", "reason"],
        "properties": {
            "path": {"type": "string", "examples": ["data.items[0].quantity"], "description": "empty: the whole event"},
            "reason": {"type": "string"},
        },
    },
    "Rejected": {
        "type": "object",
        "required": ["index", "id", "problems"],
        "properties": {
            "index": {"type": "integer", "description": "the event's place in the request, from 0"},
            "id": {"type": ["string", "null"]},
            "problems": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
        },
    },
    "Results": {
        "type": "object",
        "required": ["accepted", "rejected"],
        "properties": {
            "accepted": {"type": "integer"},
            "rejected": {"type": "array", "items": {"$ref": "#/components/schemas/Rejected"}},
        },
    },
    "Problem": {
        "description": "RFC 9457; a refused event also has `id` and `problems`, a refused batch `rejected`",
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "id": {"type": ["string", "null"]},
            "problems": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
            "rejected": {"type": "array", "items": {"$ref": "#/components/schemas/Rejected"}},
        },
    },
}

_REFUSALS: Final = {
    "400": "the body is not what its content type says",
    "401": "no key, or one that is not known (any longer)",
    "403": "the key does not open this, or the event is another shop's",
    "413": "the body, an event, or their number is too large (1 MiB inflated, 64 KiB, 1,000 by default)",
    "415": "another content type or encoding",
    "422": "no event can be taken; says the path of each fault",
    "429": "over the rate of the shop, the key or the address, or too many refused keys; see Retry-After",
    "503": "Kafka cannot take or has not acknowledged it; send all of it again after Retry-After",
}


def _results(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Results"}}},
    }


def _operation(
    name: str, summary: str, security: str, content: dict[str, Any], answers: dict[str, Any]
) -> dict[str, Any]:
    refusals = {
        status: {
            "description": words,
            "content": {_PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, words in _REFUSALS.items()
    }
    body = {"required": True, "content": {kind: {"schema": schema} for kind, schema in content.items()}}
    return {
        "post": {
            "operationId": name,
            "summary": summary,
            "security": [{security: []}],
            "requestBody": body,
            "responses": answers | refusals,
        }
    }


_TAKEN: Final = {
    "202": _results("every event is in Kafka, on all in-sync replicas"),
    "207": _results("some are in Kafka; the rejected ones never will be as they are"),
}
_OBJECT: Final = {"application/json": {"type": "object"}}
_FOREIGN_TAKEN: Final = {
    "200": {"description": "taken; `rejected` names what was not", "content": {"application/json": {"schema": {
        "allOf": [{"$ref": "#/components/schemas/Results"}, {"properties": {"success": {"type": "boolean"}}}]}}}},
}  # fmt: skip

PATHS: Final[dict[str, Any]] = {
    "/v1/events": _operation(
        "publish_events",
        "Events of a shop's servers; gzip is accepted",
        "secretKey",
        {
            "application/cloudevents+json": _EVENT,
            "application/cloudevents-batch+json": _EVENTS,
            "application/x-ndjson": {"type": "string", "description": "one event a line"},
        },
        _TAKEN,
    ),
    "/v1/collect": _operation(
        "collect_events",
        "Events of a shop's pages: what only a server may say is rejected, a personid is taken out",
        "publishableKey",
        {
            "text/plain": {"type": "string", "description": "JSON, as navigator.sendBeacon sends it without preflight"},
            "application/json": {"oneOf": [_EVENT, _EVENTS, {
                "type": "object", "required": ["events"],
                "properties": {"key": {"type": "string"}, "events": _EVENTS},
            }]},
        },
        {"204": {"description": "all are in Kafka"}, "207": _TAKEN["207"]},
    ),
    **{
        f"/v1/segment/{call}": _operation(
            f"segment_{call}", f"Segment's {call} call", "writeKey", _OBJECT, _FOREIGN_TAKEN
        )
        for call in Segment.CALLS
    },
    "/v1/ga4": _operation(
        "ga4_push", "One dataLayer push of GA4 e-commerce, or an array of them", "writeKey",
        {"application/json": {"type": ["object", "array"]}}, _FOREIGN_TAKEN,
    ),
}  # fmt: skip
