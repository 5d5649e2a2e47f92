"""The Structs, the schemas and the examples say the same."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from relance.events.catalog import CODE
from relance.events.codec import STRUCTS, check, data_type, decode, encode, problems
from relance.events.envelope import Instant
from relance.events.schemas import event_schemas

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "schemas/examples").glob("*/*.json"))
SCHEMAS = event_schemas()
WITH_TWO_MEANINGS = {"category"}  # of a list, as shops name it; of a failed payment, one of ours


FORMATS = jsonschema.FormatChecker()


@FORMATS.checks("date-time", raises=msgspec.ValidationError)
def _is_instant(value: object) -> bool:
    """jsonschema leaves `date-time` to a library; what decides here is the type that events have."""
    return not isinstance(value, str) or msgspec.convert(value, Instant) is not None


def _valid(event: dict[str, Any], name: str) -> bool:
    schema = jsonschema.Draft202012Validator(SCHEMAS[name], format_checker=FORMATS)
    return bool(schema.is_valid(event))


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", EXAMPLES, ids=_name)
def test_example_decodes_and_validates(path: Path) -> None:
    raw = path.read_bytes()
    event = decode(raw)
    assert type(event) is STRUCTS[path.parent.name]
    assert check(event) == "demo"
    assert problems(raw) == ()
    assert _valid(json.loads(raw), path.parent.name)


@pytest.mark.parametrize("path", EXAMPLES, ids=_name)
def test_example_survives_a_round_trip(path: Path) -> None:
    event = decode(path.read_bytes())
    assert decode(encode(event)) == event


def test_every_type_has_an_example_and_no_example_is_an_orphan() -> None:
    folders = {path.name for path in (ROOT / "schemas/examples").iterdir()}
    assert folders == set(CODE) == {path.parent.name for path in EXAMPLES}
    ids = [json.loads(path.read_bytes())["id"] for path in EXAMPLES]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


def _without(event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The event without each of its attributes and fields of data, in turn."""
    for key in event:
        yield key, {name: part for name, part in event.items() if name != key}
    for key in event.get("data", {}):
        yield f"data.{key}", event | {"data": {name: part for name, part in event["data"].items() if name != key}}


def _replaced(event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The event with each attribute, and each field of data, replaced by what it must or may not be."""
    for key in event:
        if key == "type":
            continue
        value: Any
        for value in (None, "", 7, -1, True, [], {}, "x" * 9000, 1.5):
            yield f"{key}={str(value)[:20]!r}", event | {key: value}
    for key in event.get("data", {}):
        for value in (None, "", 7, -1, True, [], {}, "x" * 9000, 1.5, [{}], "eur"):
            yield f"data.{key}={str(value)[:20]!r}", event | {"data": event["data"] | {key: value}}


@pytest.mark.parametrize("path", EXAMPLES, ids=_name)
def test_decoder_and_schema_refuse_the_same(path: Path) -> None:
    event = json.loads(path.read_bytes())
    differing = []
    for what, changed in (*_without(event), *_replaced(event)):
        raw = json.dumps(changed).encode()
        try:
            decode(raw)
            taken = True
        except Exception:  # noqa: BLE001 - any refusal
            taken = False
        if taken != (problems(raw) == ()) or (what != "type" and taken != _valid(changed, path.parent.name)):
            differing.append((what, taken, problems(raw)))
    assert not differing


def test_shared_fields_mean_the_same_everywhere() -> None:
    """A field of one name has one type, whatever the event; obligatory or not is the type's affair."""
    seen: dict[str, set[str]] = {}
    for name in CODE:
        for field in msgspec.structs.fields(data_type(name)):
            schema = msgspec.json.schema(field.type)
            parts = [part for part in schema.get("anyOf", [schema]) if part != {"type": "null"}]
            seen.setdefault(field.encode_name, set()).add(json.dumps(parts, sort_keys=True))
    assert not {name: kinds for name, kinds in seen.items() if len(kinds) > 1 and name not in WITH_TWO_MEANINGS}
