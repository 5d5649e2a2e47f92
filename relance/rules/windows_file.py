"""The windows file: YAML to `Definitions` and back, each refusal with file, line and reason."""

import difflib
import re
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final, Never, get_args

import msgspec
import yaml

from relance.events.catalog import CHANNELS, DEVICES, STAGES
from relance.kernel.errors import DefinitionsError
from relance.rules.windows import MAX_WINDOWS, WINDOW_EVENTS, Definitions, When, Window, faults

__all__ = ["dump", "duration_text", "json_schema", "load", "parse_duration"]

DURATION: Final = re.compile(
    r"(?P<sign>-?)P(?!$)(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)(?:[.,](?P<fraction>\d{1,9}))?S)?)?"
)
CALENDAR: Final = re.compile(r"-?P[^T]*\d[YM]")
DURATION_PATTERN: Final = r"^P(?!$)(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+([.,]\d{1,9})?S)?)?$"
CURRENCY: Final = re.compile(r"[A-Z]{3}")
WINDOW_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def load(text: str, file: str) -> Definitions:
    """The definitions that `text` holds; `file` is its name in errors. Raises DefinitionsError at the first fault."""
    return _Reader(file).definitions(text)


def dump(definitions: Definitions) -> str:
    """The YAML of `definitions`: `load` of it gives an equal value."""
    document: dict[str, Any] = {
        "session_gap": duration_text(definitions.session_gap),
        "grace": duration_text(definitions.grace),
        "allowed_lateness": duration_text(definitions.allowed_lateness),
        "windows": [_plain(window) for window in definitions.windows],
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _plain(window: Window) -> dict[str, Any]:
    kind = {"stage": window.stage} if window.stage is not None else {"event": window.event}
    plain = {"id": window.id, **kind, "inactivity": duration_text(window.inactivity)}
    when = msgspec.to_builtins(window.when)
    return plain | ({"when": when} if when else {})


def parse_duration(text: str) -> timedelta:
    """An ISO 8601 duration of weeks, days, hours, minutes and seconds. Raises ValueError with the reason."""
    match = DURATION.fullmatch(text)
    if match is None:
        if CALENDAR.match(text):
            raise ValueError(f"{text!r}: years and months have no fixed length; use days, as in P30D")
        raise ValueError(f"{text!r} is not an ISO 8601 duration such as PT20M or P1D")
    parts = {unit: int(match[unit] or 0) for unit in ("weeks", "days", "hours", "minutes", "seconds")}
    fraction = (match["fraction"] or "").ljust(9, "0")
    if int(fraction[3:] or 0):
        raise ValueError(f"{text!r}: a duration has at most millisecond precision")
    try:
        duration = timedelta(milliseconds=int(fraction[:3]), **parts)
    except OverflowError:
        raise ValueError(f"{text!r}: a duration is at most ten years") from None
    if match["sign"] and duration:
        raise ValueError(f"{text!r}: a duration cannot be negative")
    return duration


def duration_text(duration: timedelta) -> str:
    """ISO 8601 of a duration of whole milliseconds, not negative: PT20M, P1D, PT0.5S."""
    seconds, rest = divmod(duration.seconds, 60)[::-1]
    hours, minutes = divmod(rest, 60)
    fraction = f".{duration.microseconds:06d}".rstrip("0") if duration.microseconds else ""
    clock = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    clock += f"{seconds}{fraction}S" if seconds or fraction else ""
    days = f"{duration.days}D" if duration.days else ""
    return f"P{days}T{clock}" if clock else f"P{days}" if days else "PT0S"


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a windows file, for editors: keys, types, event types, channels, durations."""
    schema: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(Definitions)))
    parts = schema["$defs"]
    duration = {"type": "string", "pattern": DURATION_PATTERN, "description": "ISO 8601: PT20M, P1D"}
    whole, window = parts["Definitions"], parts["Window"]
    for name, field in (*whole["properties"].items(), *window["properties"].items()):
        if field.get("format") == "duration":
            default = {"default": duration_text(getattr(Definitions(), name))} if "default" in field else {}
            field.clear()
            field.update(duration | default)
    whole["properties"]["windows"] |= {"maxItems": MAX_WINDOWS}
    window["properties"]["stage"] = {"enum": list(STAGES)}
    window["properties"]["event"] = {"enum": list(WINDOW_EVENTS)}
    window["oneOf"] = [{"required": ["stage"]}, {"required": ["event"]}]
    parts["When"]["properties"]["consent"] = {"enum": list(CHANNELS)}
    for field in parts["When"]["properties"].values():
        field.pop("default", None)  # null stands for absence inside; a file leaves the key out
        if "anyOf" in field:
            field.update(field.pop("anyOf")[0])
        if None in field.get("enum", ()):
            field["enum"] = [value for value in field["enum"] if value is not None]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Relance windows file"}
    return head | schema


class _Reader:
    """Walks the nodes of one file, so that every error knows its line."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[tuple[int | None, str], int] = {}  # (window's place, field) -> line

    def definitions(self, text: str) -> Definitions:
        root = self.compose(text)
        fields = self.mapping(root, Definitions.__struct_fields__, "a windows file")
        values: dict[str, Any] = {}
        for name, node in fields.items():
            self.lines[None, name] = _line(node)
            if name == "windows":
                values[name] = tuple(self.window(place, item) for place, item in enumerate(self.sequence(node)))
            else:
                values[name] = self.duration(node, name)
        definitions = Definitions(**values)
        for fault in faults(definitions):
            line = self.lines.get((fault.place, fault.field)) or self.lines[fault.place, ""]
            raise DefinitionsError(self.file, line, fault.reason)
        return definitions

    def compose(self, text: str) -> yaml.Node:
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise DefinitionsError(self.file, mark.line + 1 if mark else 1, f"not YAML: {error.problem}") from None
        except yaml.reader.ReaderError as error:
            line = text[: error.position].count("\n") + 1
            raise DefinitionsError(self.file, line, "not YAML: a character that YAML does not allow") from None
        except RecursionError:
            raise DefinitionsError(self.file, 1, "not a windows file: nested too deeply") from None
        if root is None:
            raise DefinitionsError(self.file, 1, "the file is empty; a windows file has the key windows")
        return root

    def window(self, place: int, node: yaml.Node) -> Window:
        self.lines[place, ""] = _line(node)
        fields = self.mapping(node, Window.__struct_fields__, "a window")
        for required in ("id", "inactivity"):
            if required not in fields:
                self.refuse(node, f"a window needs {required}")
        self.lines |= {(place, name): _line(field) for name, field in fields.items()}
        stage, event = fields.get("stage"), fields.get("event")
        return Window(
            id=self.matching(fields["id"], "id", WINDOW_ID, "letters, digits, '.', '_' and '-', at most 64"),
            inactivity=self.duration(fields["inactivity"], "inactivity"),
            stage=None if stage is None else self.choice(stage, "stage", list(STAGES)),
            event=None if event is None else self.event(event),
            when=self.when(place, fields["when"]) if "when" in fields else When(),
        )

    def when(self, place: int, node: yaml.Node) -> When:
        fields = self.mapping(node, When.__struct_fields__, "when")
        values: dict[str, Any] = {}
        for name, field in fields.items():
            self.lines[place, f"when.{name}"] = _line(field)
            if name == "currency":
                values[name] = self.matching(field, name, CURRENCY, "three capital letters, as in EUR")
            elif name == "device":
                values[name] = self.choice(field, name, list(DEVICES))
            elif name == "consent":
                values[name] = self.choice(field, name, CHANNELS, "channel")
            elif bool in get_args(When.__annotations__[name]):
                values[name] = self.typed(field, name, bool, "true or false")
            else:
                values[name] = self.count(field, name)
        return When(**values)

    def mapping(self, node: yaml.Node, known: Sequence[str], what: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode) or node.tag != "tag:yaml.org,2002:map":
            self.refuse(node, f"{what} must be a mapping of keys to values")
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "?"
            if name not in known:
                self.refuse(key, f"unknown key {name!r} in {what}{_hint(name, known)}")
            if name in fields:
                self.refuse(key, f"the key {name!r} stands twice")
            fields[name] = value
        return fields

    def sequence(self, node: yaml.Node) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode) or node.tag != "tag:yaml.org,2002:seq":
            self.refuse(node, "windows must be a list")
        return list(node.value)

    def typed(self, node: yaml.Node, name: str, kind: type, wanted: str) -> Any:
        value = None
        if isinstance(node, yaml.ScalarNode):
            try:
                value = yaml.constructor.SafeConstructor().construct_object(node)
            except (yaml.YAMLError, ValueError):  # 2026-99-99 and the like
                value = None
        if type(value) is not kind:  # a bool is an int, but not a count
            shown = repr(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"
            self.refuse(node, f"{name} must be {wanted}, not {shown}")
        return value

    def count(self, node: yaml.Node, name: str) -> int:
        value: int = self.typed(node, name, int, "a whole number")
        if not 0 <= value < 2**62:
            self.refuse(node, f"{name} must be a whole number from 0 on, not {value}")
        return value

    def duration(self, node: yaml.Node, name: str) -> timedelta:
        text = self.typed(node, name, str, "an ISO 8601 duration such as PT20M or P1D")
        try:
            return parse_duration(text)
        except ValueError as error:
            self.refuse(node, f"{name}: {error}")

    def matching(self, node: yaml.Node, name: str, pattern: re.Pattern[str], wanted: str) -> str:
        text: str = self.typed(node, name, str, f"text ({wanted})")
        if not pattern.fullmatch(text):
            self.refuse(node, f"{name} must be {wanted}, not {text!r}")
        return text

    def event(self, node: yaml.Node) -> str:
        text: str = self.typed(node, "event", str, "an event type")
        if text in {"order.completed", "payment.succeeded"}:
            return text  # known, and refused with its own reason by `faults`
        return str(self.choice(node, "event", WINDOW_EVENTS, "event type"))

    def choice(self, node: yaml.Node, name: str, names: Collection[str], what: str | None = None) -> Any:
        text = self.typed(node, name, str, "one of " + ", ".join(names) if len(names) < 15 else f"the name of a {what}")
        if text not in names:
            self.refuse(node, f"unknown {what or name} {text!r}{_hint(text, names)}")
        return text

    def refuse(self, node: yaml.Node, reason: str) -> Never:
        raise DefinitionsError(self.file, _line(node), reason)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _hint(text: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(text, known, n=1)
    if close:
        return f": did you mean {close[0]}?"
    return f" (known: {', '.join(known)})" if len(known) < 15 else ""
