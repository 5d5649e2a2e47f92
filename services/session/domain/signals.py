"""Signals as they leave the engine: rows first, objects or columns when they are asked for."""

from typing import Any, Final
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from relance.events.catalog import Stage
from relance.events.signals import ENDED_SCHEMA, Kind, Signal
from relance.kernel.ids import signal_id
from relance.kernel.instants import format_ms
from services.session.domain.compiled import unpack_currency
from services.session.domain.hashing import uuid5_into
from services.session.domain.layout import ABSENT, CONVERTED, ENDED, KINDS, PLACE_ENDED, PLACE_REMOVED, Row

__all__ = ["Signals", "sort_out"]

_STAGE_NAMES: Final = {int(stage): stage.name.lower() for stage in Stage if stage}


def sort_out(out: NDArray[np.void], shops: list[str], names: list[str]) -> NDArray[np.void]:
    """Rows in the order of docs/detection.md: clock move, due time, visitor, shop, place in the file, deadline.

    Windows that are no longer defined come after the others, by id.
    """
    if len(out) < 2:
        return out
    ranks = np.empty(len(shops), np.int64)
    ranks[np.argsort(np.array(shops, dtype=object), kind="stable")] = np.arange(len(shops))
    places = out["place"].astype(np.int64)
    removed = np.flatnonzero((places >= PLACE_REMOVED) & (places < PLACE_ENDED))
    if len(removed):
        order = {name: rank for rank, name in enumerate(sorted(names))}
        places[removed] += [order[names[name]] for name in out["name"][removed]]
    keys = (out["deadline"], places, ranks[out["shop"]], out["lo"], out["hi"], out["due"], out["group"])
    return out[np.lexsort(keys)]


def _visitors(out: NDArray[np.void]) -> NDArray[np.uint8]:
    """(n, 16) bytes in network order."""
    words = np.empty((len(out), 2), ">u8")
    words[:, 0] = out["hi"]
    words[:, 1] = out["lo"]
    return words.view(np.uint8).reshape(len(out), 16)


def _session_ids(out: NDArray[np.void], shops: list[str]) -> NDArray[np.uint8]:
    present, place = np.unique(out["shop"], return_inverse=True)
    heads = [f"{shops[shop]}/".encode() for shop in present]
    at = np.cumsum([0, *map(len, heads)], dtype=np.int64)
    ids = np.empty((len(out), 16), np.uint8)
    text = np.frombuffer(b"".join(heads), np.uint8)
    numbers = np.ascontiguousarray(out["first_append"])
    uuid5_into(_visitors(out), text, at, place.astype(np.int64), numbers, np.empty(0, np.uint8), ids)
    return ids


class Signals:
    """What one call of the engine said, in order. `len()` counts; nothing is computed before it is asked for."""

    def __init__(
        self,
        out: NDArray[np.void],
        aux: NDArray[np.int32],
        shops: list[str],
        names: list[str],
        origins: list[tuple[str, str]],
    ) -> None:
        self.out = out
        self._aux = aux
        self._shops = shops
        self._names = names
        self._origins = origins

    def __len__(self) -> int:
        return len(self.out)

    def ended(self) -> "Signals":
        """Only the endings."""
        return self._only(self.out["kind"] == ENDED)

    def spoken(self) -> "Signals":
        """All but the endings."""
        return self._only(self.out["kind"] != ENDED)

    def _only(self, which: NDArray[np.bool_]) -> "Signals":
        return Signals(self.out[which], self._aux, self._shops, self._names, self._origins)

    def to_signals(self) -> list[Signal]:
        """As objects, in order."""
        if not len(self.out):
            return []
        sessions = _session_ids(self.out, self._shops)
        visitors = _visitors(self.out)
        return [
            self._signal(row, UUID(bytes=sessions[k].tobytes()), UUID(bytes=visitors[k].tobytes()))
            for k, row in enumerate(self.out)
        ]

    def _signal(self, row: Row, session: UUID, visitor: UUID) -> Signal:
        kind: Kind = KINDS[row["kind"]]
        window = self._names[row["name"]] if row["name"] >= 0 else None
        deadline = int(row["deadline"]) if row["deadline"] != ABSENT else None
        extra: dict[str, Any] = {}
        if row["kind"] == CONVERTED:
            names = {self._names[name] for name in self._aux[row["names_begin"] : row["names_end"]]}
            extra["windows"] = tuple(sorted(names))
        elif row["kind"] == ENDED:
            extra["events"] = int(row["events"])
            extra["duration_ms"] = int(row["duration"])
        return Signal(
            signal_id=signal_id(session, kind, int(row["episode"]), window or "", deadline),
            kind=kind,
            shop=self._shops[row["shop"]],
            visitor=visitor,
            session_id=session,
            window=window,
            stage=_STAGE_NAMES[int(row["stage"])],
            last_activity=format_ms(int(row["last_activity"])),
            deadline=None if deadline is None else format_ms(deadline),
            fired_at=format_ms(int(row["due"])),
            cart_total_minor=int(row["total"]) if row["total"] != ABSENT else None,
            currency=unpack_currency(int(row["currency"])),
            items=int(row["items"]),
            **extra,
        )

    def to_ended_batch(self) -> pa.RecordBatch:
        """The endings among them as one batch of ENDED_SCHEMA."""
        out = self.out[self.out["kind"] == ENDED]
        n = len(out)
        sessions = _session_ids(out, self._shops) if n else np.empty((0, 16), np.uint8)
        ids = np.empty((n, 16), np.uint8)
        head = np.frombuffer(b"ended/", np.uint8)
        tail = np.frombuffer(b"//", np.uint8)
        places = np.zeros(n, np.int64)
        uuid5_into(sessions, head, np.array([0, 6], np.int64), places, out["episode"].astype(np.int64), tail, ids)
        present, shop = np.unique(out["shop"], return_inverse=True)
        origins = [self._origins[o] if o >= 0 else ("", "") for o in out["origin"]]
        known = out["total"] != ABSENT
        currencies = {code: unpack_currency(int(code)) for code in np.unique(out["currency"])}
        columns = [
            _binary16(ids),
            _binary16(sessions),
            pa.DictionaryArray.from_arrays(
                pa.array(shop.astype(np.int32)), pa.array([self._shops[s] for s in present], pa.utf8())
            ),
            _binary16(_visitors(out)),
            pa.array(np.ascontiguousarray(out["stage"])),
            pa.array(np.ascontiguousarray(out["last_activity"])),
            pa.array(np.ascontiguousarray(out["due"])),
            pa.array(np.ascontiguousarray(out["total"]), mask=~known),
            pa.array([currencies[code] for code in out["currency"]], pa.utf8()),
            pa.array(np.ascontiguousarray(out["items"])),
            pa.array(np.ascontiguousarray(out["events"])),
            pa.array(np.ascontiguousarray(out["duration"])),
            pa.array(np.ascontiguousarray(out["episode"])),
            pa.array([page or None for page, _ in origins], pa.utf8()),
            pa.array([campaign or None for _, campaign in origins], pa.utf8()),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=ENDED_SCHEMA)


def _binary16(rows: NDArray[np.uint8]) -> pa.Array:
    return pa.Array.from_buffers(pa.binary(16), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows))])
