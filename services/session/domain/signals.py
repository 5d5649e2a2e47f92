"""Signals as they leave the engine: rows first, objects or columns when they are asked for."""

from typing import Any, Final
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from relance.events.catalog import Stage
from relance.events.signals import ENDED_SCHEMA, Signal
from services.session.domain.compiled import unpack_currency
from services.session.domain.hashing import uuid5_into
from services.session.domain.layout import ABSENT, CONVERTED, ENDED, KINDS, PLACE_ENDED, PLACE_REMOVED
from services.session.domain.origins import to_array

__all__ = ["Signals", "sort_out"]

_PLAIN: Final = ("kind", "shop", "name", "stage", "deadline", "total", "currency", "items")
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


def _uuid5(
    namespaces: NDArray[np.uint8], heads: list[str], head_of: NDArray[Any], numbers: NDArray[Any], tail: bytes
) -> NDArray[np.uint8]:
    """uuid5(namespace, head + number + tail) for each row, (n, 16) bytes."""
    texts = [head.encode() for head in heads]
    at = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    ids = np.empty((len(numbers), 16), np.uint8)
    uuid5_into(
        np.ascontiguousarray(namespaces), np.frombuffer(b"".join(texts), np.uint8), at, head_of.astype(np.int64),
        numbers.astype(np.int64), np.frombuffer(tail, np.uint8), ids,
    )  # fmt: skip
    return ids


def _session_ids(out: NDArray[np.void], shops: list[str]) -> NDArray[np.uint8]:
    present, place = np.unique(out["shop"], return_inverse=True)
    return _uuid5(_visitors(out), [f"{shops[shop]}/" for shop in present], place, out["first_append"], b"")


def _uuids(ids: NDArray[np.uint8]) -> list[UUID]:
    data = ids.tobytes()
    return [UUID(bytes=data[at : at + 16]) for at in range(0, len(data), 16)]


def _texts(times_ms: NDArray[np.int64]) -> NDArray[np.str_]:
    """RFC 3339 UTC with milliseconds, as `relance.kernel.instants.format_ms`."""
    return np.char.add(np.datetime_as_string(times_ms.astype("M8[ms]")), "Z")


def _chosen(words: list[str | None], numbers: NDArray[Any]) -> pa.Array:
    """The words with these numbers, as text."""
    return pa.array(words, pa.utf8()).take(pa.array(numbers.astype(np.int32)))


class Signals:
    """What one call of the engine said, in order. `len()` counts; nothing is computed before it is asked for."""

    def __init__(
        self,
        out: NDArray[np.void],
        aux: NDArray[np.int32],
        shops: list[str],
        names: list[str],
        origins: tuple[NDArray[np.void], NDArray[np.uint8]],
    ) -> None:
        self.out = out
        self._aux = aux
        self._shops = shops
        self._names = names
        self._origins = origins

    def __len__(self) -> int:
        return len(self.out)

    def spoken(self) -> "Signals":
        """All but the endings."""
        which = self.out["kind"] != ENDED
        return Signals(self.out[which], self._aux, self._shops, self._names, self._origins)

    def to_signals(self) -> list[Signal]:
        """As objects, in order."""
        out = self.out
        if not len(out):
            return []
        sessions = _session_ids(out, self._shops)
        times = np.stack([out["last_activity"], out["deadline"], out["due"]])
        times[times == ABSENT] = 0
        activity, deadlines, due = (column.tolist() for column in _texts(times))
        return [
            Signal(
                signal_id=signal,
                kind=KINDS[kind],
                shop=self._shops[shop],
                visitor=visitor,
                session_id=session,
                window=self._names[name] if name >= 0 else None,
                stage=_STAGE_NAMES[stage],
                last_activity=activity[k],
                deadline=deadlines[k] if deadline != ABSENT else None,
                fired_at=due[k],
                cart_total_minor=total if total != ABSENT else None,
                currency=unpack_currency(currency),
                items=items,
                **self._extra(k, kind),
            )
            for k, (kind, shop, name, stage, deadline, total, currency, items, signal, visitor, session) in enumerate(
                zip(
                    *(out[name].tolist() for name in _PLAIN),
                    _uuids(self._signal_ids(sessions)),
                    _uuids(_visitors(out)),
                    _uuids(sessions),
                    strict=True,
                )
            )
        ]

    def _extra(self, k: int, kind: int) -> dict[str, Any]:
        """What only some kinds have."""
        row = self.out[k]
        if kind == CONVERTED:
            names = {self._names[name] for name in self._aux[row["names_begin"] : row["names_end"]]}
            return {"windows": tuple(sorted(names))}
        return {"events": int(row["events"]), "duration_ms": int(row["duration"])} if kind == ENDED else {}

    def _signal_ids(self, sessions: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uuid5(session, `kind/episode/window/deadline in ms`), (n, 16) bytes."""
        out = self.out
        ids = np.empty((len(out), 16), np.uint8)
        timed = out["deadline"] != ABSENT
        if timed.any():
            rows = out[timed]
            keys = np.stack([rows[name].astype(np.int64) for name in ("kind", "episode", "name")])
            present, place = np.unique(keys, axis=1, return_inverse=True)
            heads = [f"{KINDS[kind]}/{episode}/{self._name(name)}/" for kind, episode, name in present.T.tolist()]
            ids[timed] = _uuid5(sessions[timed], heads, place.reshape(-1), rows["deadline"], b"")
        if not timed.all():  # a `converted` or an `ended`: neither window nor deadline
            rows = out[~timed]
            heads = [f"{kind}/" for kind in KINDS]
            ids[~timed] = _uuid5(sessions[~timed], heads, rows["kind"], rows["episode"], b"//")
        return ids

    def _name(self, number: int) -> str:
        return self._names[number] if number >= 0 else ""

    def to_ended_batch(self) -> pa.RecordBatch:
        """The endings among them as one batch of ENDED_SCHEMA."""
        out = self.out[self.out["kind"] == ENDED]
        sessions = _session_ids(out, self._shops)
        ids = _uuid5(sessions, ["ended/"], np.zeros(len(out)), out["episode"], b"//")
        shops, shop = np.unique(out["shop"], return_inverse=True)
        codes, currency = np.unique(out["currency"], return_inverse=True)
        page, campaign = self._landings(out["origin"])
        columns = [
            _binary16(ids),
            _binary16(sessions),
            pa.DictionaryArray.from_arrays(
                pa.array(shop.astype(np.int32)), pa.array([self._shops[s] for s in shops], pa.utf8())
            ),
            _binary16(_visitors(out)),
            pa.array(np.ascontiguousarray(out["stage"])),
            pa.array(np.ascontiguousarray(out["last_activity"])),
            pa.array(np.ascontiguousarray(out["due"])),
            pa.array(np.ascontiguousarray(out["total"]), mask=out["total"] == ABSENT),
            _chosen([unpack_currency(code) for code in codes.tolist()], currency),
            pa.array(np.ascontiguousarray(out["items"])),
            pa.array(np.ascontiguousarray(out["events"])),
            pa.array(np.ascontiguousarray(out["duration"])),
            pa.array(np.ascontiguousarray(out["episode"])),
            page,
            campaign,
        ]
        return pa.RecordBatch.from_arrays(columns, schema=ENDED_SCHEMA)

    def _landings(self, numbers: NDArray[np.int32]) -> tuple[pa.Array, pa.Array]:
        """Columns of landing pages and campaigns; absent ones are null."""
        origins, text = self._origins
        entries = origins[np.maximum(numbers, 0)]
        has = numbers >= 0
        pages = np.where(has, entries["page"], 0).astype(np.int64)
        campaigns = np.where(has, entries["campaign"], 0).astype(np.int64)
        at = np.ascontiguousarray(entries["at"])
        return to_array(text, at, pages), to_array(text, at + pages, campaigns)


def _binary16(rows: NDArray[np.uint8]) -> pa.Array:
    return pa.Array.from_buffers(pa.binary(16), len(rows), [None, pa.py_buffer(np.ascontiguousarray(rows))])
