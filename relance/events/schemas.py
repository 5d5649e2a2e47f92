"""JSON Schemas (2020-12) and the AsyncAPI document, made from the Structs and the map of topics."""

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from relance.events import batch, topics
from relance.events.catalog import EVENT_TYPES
from relance.events.codec import STRUCTS, data_type
from relance.events.messages import MessageOutcome, MessageRequest
from relance.events.shops import Shop
from relance.events.signals import ENDED_SCHEMA, Signal
from relance.events.topics import Topic
from relance.rules.windows import ControlRecord

__all__ = ["asyncapi", "event_schemas"]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_CLOUDEVENT: Final = "application/cloudevents+json; charset=UTF-8"
_ARROW: Final = "application/vnd.apache.arrow.stream"
_TEXT: Final = {"type": "string"}


def event_schemas() -> dict[str, dict[str, Any]]:
    """One schema of the whole CloudEvent for each type."""
    return {name: _event_schema(name) for name in STRUCTS}


def _event_schema(name: str) -> dict[str, Any]:
    schema = _struct_schema(STRUCTS[name])
    data = data_type(name)
    if data.one_of:
        given = [{"required": [field], "properties": {field: {"not": {"type": "null"}}}} for field in data.one_of]
        schema["$defs"][data.__name__]["anyOf"] = given
    return {"$schema": _DIALECT, "$id": f"urn:relance:event:{name}", **schema}


def _struct_schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The schema of a Struct, itself at the top and the Structs in it under `$defs`."""
    schema = _plain(msgspec.json.schema(kind))
    definitions = schema["$defs"]
    top: dict[str, Any] = definitions.pop(kind.__name__)
    return top | ({"$defs": definitions} if definitions else {})


def _plain(node: Any) -> Any:
    """The same schema in fewer words: `type: [string, null]` for alternatives with null, and docstrings unwrapped."""
    if isinstance(node, list):
        return [_plain(part) for part in node]
    if not isinstance(node, dict):
        return node
    plain = {name: _plain(part) for name, part in node.items() if not (name == "default" and part is None)}
    if isinstance(plain.get("description"), str):
        plain["description"] = re.sub(r"\s+", " ", plain["description"])
    match plain.get("anyOf"):
        case [{"enum": [*choices]}, {"type": "null"}]:
            plain = {"enum": [*choices, None]}
        case [{"type": str(kind), **rest}, {"type": "null"}]:
            plain = {name: part for name, part in plain.items() if name != "anyOf"} | {"type": [kind, "null"], **rest}
    return plain


def asyncapi(version: str) -> dict[str, Any]:
    """The AsyncAPI 3.0 document of all topics: who says and hears what, with which headers, and how it is kept."""
    messages = _messages()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Relance",
            "version": version,
            "description": "What is on Kafka. Facts are events here; questions are RPCs (protos/).",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic, messages[topic.name]) for topic in topics.ALL},
        "operations": {name: operation for topic in topics.ALL for name, operation in _operations(topic)},
        "components": {"messages": {key: message for of in messages.values() for key, message in of.items()}},
    }


def _channel(topic: Topic, messages: Iterable[str]) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": f"Key: {topic.key}. Value: {topic.value}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": ["compact" if topic.compact else "delete"],
                    "max.message.bytes": topic.max_message_bytes,
                    **({} if topic.compact else {"retention.ms": topic.retention_ms}),
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operations(topic: Topic) -> Iterable[tuple[str, dict[str, Any]]]:
    channel = {"$ref": f"#/channels/{topic.name.replace('/', '~1')}"}
    for action, verb, parts in (("send", "says", topic.says), ("receive", "hears", topic.hears)):
        for part in parts:
            yield f"{part}.{verb}.{topic.name}", {"action": action, "channel": channel, "summary": f"{part} {verb} it"}


def _messages() -> dict[str, dict[str, dict[str, Any]]]:
    """The messages of each topic, by topic and name."""
    every = [kind.name for kind in EVENT_TYPES]
    facts = [kind.name for kind in EVENT_TYPES if kind.fact]
    orders = [kind.name for kind in EVENT_TYPES if kind.name.startswith("order.")]
    dead_letter = _message(
        "any", "The original bytes of a record that could not be applied.", {}, _dead_letter_headers()
    )
    return {
        topics.RAW.name: {
            "structured": _message(_CLOUDEVENT, "A CloudEvent in structured mode.", _events(every), _content_type()),
            "binary": _message("application/json", "A CloudEvent in binary mode: data only.", {}, _binary_headers()),
        },
        topics.BATCHES.name: {
            "batch": _message(_ARROW, f"Arrow IPC stream of one record batch: {_columns(batch.SCHEMA)}.", {}),
            "tick": _message("application/json", "Moves the clock.", {"const": msgspec.json.decode(batch.TICK)}),
            "definitions": _message("application/json", "Windows take effect.", _struct_schema(ControlRecord)),
        },
        topics.FACTS.name: {"fact": _message(_CLOUDEVENT, "An event that changes state.", _events(facts))},
        topics.SHOPS.name: {"shop": _message("application/json", "A shop, whole.", _struct_schema(Shop))},
        topics.TRACKING_DEAD_LETTERS.name: {"tracking-dead-letter": dead_letter},
        topics.SESSION_DEAD_LETTERS.name: {"session-dead-letter": dead_letter},
        topics.SIGNALS.name: {"signal": _message("application/json", "A signal.", _struct_schema(Signal))},
        topics.ENDED.name: {"ended": _message(_ARROW, f"Ended sessions: {_columns(ENDED_SCHEMA)}.", {})},
        topics.SESSION_CHANGELOG.name: {
            "checkpoint": _message("application/octet-stream", "State of the session service, for itself alone.", {})
        },
        topics.MESSAGES.name: {
            "message-request": _message("application/json", "A message to send.", _struct_schema(MessageRequest))
        },
        topics.ORDERS.name: {"order": _message(_CLOUDEVENT, "A step of an order.", _events(orders))},
        topics.OUTCOMES.name: {
            "message-outcome": _message("application/json", "What became of a message.", _struct_schema(MessageOutcome))
        },
        topics.NOTIFICATION_DEAD_LETTERS.name: {"notification-dead-letter": dead_letter},
    }


def _message(
    content_type: str, summary: str, payload: dict[str, Any], headers: dict[str, Any] | None = None
) -> dict[str, Any]:
    given = {"headers": headers} if headers else {}
    if payload:
        given["payload"] = {"schemaFormat": f"application/schema+json;version={_DIALECT}", "schema": payload}
    return {
        "contentType": "application/octet-stream" if content_type == "any" else content_type,
        "summary": summary,
    } | given


def _events(names: Iterable[str]) -> dict[str, Any]:
    return {"oneOf": [{"$ref": f"./events/{name}.schema.json"} for name in names]}


def _columns(schema: Any) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)


def _content_type() -> dict[str, Any]:
    return {"type": "object", "properties": {"content-type": {"const": _CLOUDEVENT}}}


def _binary_headers() -> dict[str, Any]:
    required = ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"]
    optional = ["ce_visitorid", "ce_personid", "ce_device", "ce_returning", "ce_senttime", "content-type"]
    return {"type": "object", "required": required, "properties": dict.fromkeys([*required, *optional], _TEXT)}


def _dead_letter_headers() -> dict[str, Any]:
    required = ["reason", "topic", "partition", "offset"]
    return {"type": "object", "required": required, "properties": dict.fromkeys(required, _TEXT)}
