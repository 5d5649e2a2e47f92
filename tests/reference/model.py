"""Detection in plain Python: dicts, dataclasses, and a look at every session at each move of the clock.

Nothing here is fast and nothing is clever. The numbers in the comments are those of docs/detection.md.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from relance.rules.windows import Definitions, Window
from tests.reference.events import Event, append_ms_of, event_of, text_of
from tests.reference.session import NEVER, STAGES, Cart, Session, holds, is_quiet, move_stage, note_facts, touch_cart

__all__ = ["Control", "Events", "Model", "Record", "Tick", "run", "run_records"]

TEN_MINUTES_MS = 600_000

Signal = dict[str, Any]


@dataclass(frozen=True)
class Events:
    """A record with events."""

    append_ms: int
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Tick:
    """A record that only moves the clock."""

    append_ms: int


@dataclass(frozen=True)
class Control:
    """A record with definitions for a shop, or for `*`, the default; None: back to the default."""

    append_ms: int
    shop: str
    version: int
    definitions: Definitions | None


Record = Events | Tick | Control


def ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


class Model:
    """The state of one partition. Every method that moves the clock answers the signals in order."""

    def __init__(self) -> None:
        self.stream: int | None = None
        self.sets: dict[str, tuple[int, Definitions | None]] = {}
        self.sessions: dict[tuple[str, UUID], Session] = {}
        self.seen: dict[tuple[str, str], int] = {}
        self.counts: Counter[str] = Counter()

    # -- records -------------------------------------------------------------------------------------------------------

    def advance(self, append_ms: int) -> list[Signal]:
        """1, 2: moves the clock and fires all that is due by then."""
        if self.stream is not None and append_ms <= self.stream:
            return []
        self.stream = append_ms
        due = [row for session in self.sessions.values() for row in self.due(session) if row[0] <= append_ms]
        due.sort(key=lambda row: (row[0], row[1].visitor.int, row[1].shop, row[2]))
        return [signal for row in due for signal in self.fire(*row)]

    def apply(self, events: Iterable[Event], append_ms: int) -> list[Signal]:
        """One record with events."""
        signals = self.advance(append_ms)
        for event in events:
            signals += self.apply_event(event)
        return signals

    def define(self, append_ms: int, shop: str, version: int, definitions: Definitions | None) -> list[Signal]:
        """21: one control record."""
        signals = self.advance(append_ms)
        if shop in self.sets and version <= self.sets[shop][0]:
            return signals
        self.sets[shop] = (version, definitions)
        for session in self.sessions.values():
            now = self.definitions(session.shop).windows
            session.known_windows &= set(now)
            session.armed = {window: time for window, time in session.armed.items() if window in now}
        return signals

    def definitions(self, shop: str) -> Definitions:
        """The set in force for a shop: its own, else the default, else one without windows."""
        for name in (shop, "*"):
            if name in self.sets:
                definitions = self.sets[name][1]
                if definitions is not None:
                    return definitions
        return Definitions()

    # -- what is due ---------------------------------------------------------------------------------------------------

    def due(self, session: Session) -> list[tuple[int, Session, int, Window | None, int]]:
        """14 to 16: (due time, session, place in the file, window or None for the end, deadline)."""
        definitions = self.definitions(session.shop)
        grace = ms(definitions.grace)
        rows: list[tuple[int, Session, int, Window | None, int]] = []
        silence = ms(definitions.session_gap)
        ends = NEVER
        for place, window in enumerate(definitions.windows):
            if window.event is not None and window in session.armed:
                deadline = session.armed[window] + ms(window.inactivity)
                rows.append((deadline + grace, session, place, window, deadline))
                ends = max(ends, deadline + grace)
            if window.stage == STAGES[session.stage]:
                deadline = session.last_activity + ms(window.inactivity)
                silence = max(silence, ms(window.inactivity))
                if self.is_open(window, session):
                    rows.append((deadline + grace, session, place, window, deadline))
        ends = max(ends, session.last_activity + silence + grace)
        rows.append((ends, session, len(definitions.windows), None, ends))
        return rows

    def is_open(self, window: Window, session: Session) -> bool:
        fired = any(window.id == name for name, _ in session.fired)
        return window in session.known_windows and not fired and holds(window.when, session)

    def fire(self, due: int, session: Session, _place: int, window: Window | None, deadline: int) -> list[Signal]:
        if window is None:
            del self.sessions[session.shop, session.visitor]
            return [ended(session, due)]
        if window.event is not None:
            del session.armed[window]
            if not holds(window.when, session) or (window.id, deadline) in session.fired:
                return []
        session.fired.append((window.id, deadline))
        return [signal(session, "abandoned", due, window.id, deadline)]

    # -- one event -----------------------------------------------------------------------------------------------------

    def apply_event(self, event: Event) -> list[Signal]:
        assert self.stream is not None
        if self.is_duplicate(event):
            self.counts["duplicates"] += 1
            return []
        session = self.sessions.get((event.shop, event.visitor))
        arrival = self.stream if event.arrival is None else event.arrival
        late = arrival - event.time > ms(self.definitions(event.shop).allowed_lateness)
        if late and not (session and event.type in ("order.completed", "consent.changed")):
            self.counts["late"] += 1
            return []
        if session is None:
            if is_quiet(event.type):
                return []
            session = Session(event.shop, event.visitor, first_append=self.stream)
            self.sessions[event.shop, event.visitor] = session
        return self.apply_to(session, event)

    def is_duplicate(self, event: Event) -> bool:
        """5: whether this id was first seen within the last ten minutes; else it is noted now."""
        assert self.stream is not None
        first = self.seen.get((event.source, event.id))
        if first is not None and self.stream - first <= TEN_MINUTES_MS:
            return True
        self.seen[event.source, event.id] = self.stream
        return False

    def apply_to(self, session: Session, event: Event) -> list[Signal]:
        """7 to 13, for an event that counts."""
        assert self.stream is not None
        session.known_windows = set(self.definitions(session.shop).windows)
        quiet = is_quiet(event.type)
        if not quiet:
            happened = min(event.time, self.stream)
            session.events += 1
            session.last_activity = max(session.last_activity, happened)
            session.first_activity = min(happened, session.last_activity if session.first_activity is None
                                         else session.first_activity)  # fmt: skip
        if event.time <= session.order_time:
            return []
        if event.type.startswith("cart.") and event.time < session.cart_time:
            return []
        note_facts(session, event)
        if event.type == "order.completed":
            return self.convert(session, event.time)
        if not quiet:
            emptied = touch_cart(session, event)
            move_stage(session, event, emptied=emptied)
        if event.type == "payment.succeeded":
            session.block_time = max(event.time, NEVER if session.block_time is None else session.block_time)
            session.armed = {window: time for window, time in session.armed.items() if time > event.time}
            session.stage = session.base_stage()
        self.arm(session, event)
        return []

    def arm(self, session: Session, event: Event) -> None:
        """13."""
        if session.block_time is not None and event.time <= session.block_time:
            return
        for window in self.definitions(session.shop).windows:
            if window.event == event.type:
                session.armed[window] = max(event.time, session.armed.get(window, NEVER))

    def convert(self, session: Session, time: int) -> list[Signal]:
        """18: `order.completed` with this time, after its activity."""
        assert self.stream is not None
        ids = [window.id for window in self.definitions(session.shop).windows]

        def in_file_order(firing: tuple[str, int]) -> tuple[int, str, int]:
            name, deadline = firing
            return (ids.index(name), "", deadline) if name in ids else (len(ids), name, deadline)

        gone = sorted((firing for firing in session.fired if firing[1] >= time), key=in_file_order)
        stands = sorted({name for name, deadline in session.fired if deadline < time})
        signals = [signal(session, "retracted", self.stream, name, deadline) for name, deadline in gone]
        signals.append(signal(session, "converted", self.stream) | {"windows": stands})
        session.episode += 1
        session.fired = []
        session.product_seen = False
        session.armed = {window: armed for window, armed in session.armed.items() if armed > time}
        session.order_time = time
        session.block_time = max(time, NEVER if session.block_time is None else session.block_time)
        if session.cart_time <= time:
            session.cart = Cart()
            session.stage = STAGES.index("browse")
        return signals


def signal(
    session: Session, kind: str, fired_at: int, window: str | None = None, deadline: int | None = None
) -> Signal:
    """19, 20: the JSON object, with its id."""
    name = f"{kind}/{session.episode}/{window or ''}/{'' if deadline is None else deadline}"
    return {
        "signal_id": str(uuid5(session.id, name)),
        "kind": kind,
        "shop": session.shop,
        "visitor": str(session.visitor),
        "session_id": str(session.id),
        "window": window,
        "stage": STAGES[session.stage],
        "last_activity": text_of(session.last_activity),
        "deadline": None if deadline is None else text_of(deadline),
        "fired_at": text_of(fired_at),
        "cart_total_minor": session.cart.total,
        "currency": session.cart.currency,
        "items": session.cart.items,
    }


def ended(session: Session, due: int) -> Signal:
    assert session.first_activity is not None
    duration = session.last_activity - session.first_activity
    return signal(session, "ended", due) | {"events": session.events, "duration_ms": duration}


def run_records(records: Iterable[Record], until_ms: int | None = None) -> list[Signal]:
    """The signals of a partition's records, in order."""
    model = Model()
    signals: list[Signal] = []
    for record in records:
        match record:
            case Events(append_ms, events):
                signals += model.apply(events, append_ms)
            case Tick(append_ms):
                signals += model.advance(append_ms)
            case Control(append_ms, shop, version, definitions):
                signals += model.define(append_ms, shop, version, definitions)
    if until_ms is not None:
        signals += model.advance(until_ms)
    return signals


def run(lines: Iterable[Mapping[str, Any]], definitions: Definitions, until_ms: int | None = None) -> list[Signal]:
    """The signals of `relance simulate` over a file's lines, in order."""
    model = Model()
    model.sets["*"] = (1, definitions)
    signals: list[Signal] = []
    for line in lines:
        append_ms = append_ms_of(line)
        if until_ms is not None and append_ms > until_ms:
            break
        event = event_of(line)
        signals += model.apply([] if event is None else [event], append_ms)
    if until_ms is not None:
        signals += model.advance(until_ms)
    return signals
