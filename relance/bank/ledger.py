"""What the bank knows, in memory and, where a file is given, there too, so that it outlives the process."""

import hashlib
import heapq
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from relance.bank.wire import ApiError, Json, new_id

__all__ = ["Ledger"]

_KEYS_KEPT_S: Final = 24 * 3600
_KINDS: Final = {
    "checkout.session": "cs_",
    "payment_intent": "pi_",
    "charge": "ch_",
    "refund": "re_",
    "event": "evt_",
}
_VERSION: Final = "2026-08-26.dahlia"


class _Kept(msgspec.Struct):
    """The answer to a request with a key. `status` 0: it is being answered. `at`: seconds since 1970."""

    print: str
    at: int
    status: int = 0
    body: Any = None


class _Row(msgspec.Struct):
    """A line of the file: an object as it is now, an answer that is kept, or the clock."""

    object: Json | None = None
    key: str = ""
    kept: _Kept | None = None
    ahead_s: float | None = None


class Ledger:
    """Objects in Stripe's form by id; names that begin with an underscore are the bank's own.

    `path`: a file to which every change is appended and from which a bank goes on; None: memory alone.
    `heard`: called with each event as it happens.
    """

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._ahead_s = 0.0
        self._objects: dict[str, Json] = {}
        self._of_kind: dict[str, dict[str, Json]] = {kind: {} for kind in _KINDS}
        self._of_intent: dict[str, list[str]] = {}
        self._due: list[tuple[float, str]] = []
        self._keys: dict[str, _Kept] = {}
        self._file: IO[bytes] | None = None
        self.heard: Callable[[Json], None] = lambda _event: None
        if path is not None:
            self._load(path)
            self._file = path.open("ab", buffering=0)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def now(self) -> int:
        """Seconds since 1970 by the bank's clock."""
        return int(self._clock() + self._ahead_s)

    def set_ahead(self, seconds: float) -> None:
        """Move the bank's clock: it is then so much ahead of the machine's."""
        self._ahead_s = seconds
        self._write(_Row(ahead_s=seconds))

    def put(self, value: Json) -> Json:
        """Keep an object, new or changed."""
        self._place(value)
        self._write(_Row(object=value))
        return value

    def get(self, kind: str, name: str) -> Json:
        """The object. Raises ApiError when there is none."""
        found = self._of_kind[kind].get(name)
        if found is None:
            raise ApiError(
                404, "invalid_request_error", f"No such {kind}: '{name}'", code="resource_missing", param="id"
            )
        return found

    def find(self, name: str) -> Json | None:
        """The object of an id, of whichever kind."""
        return self._objects.get(name)

    def newest(self, kind: str) -> Iterator[Json]:
        """All objects of a kind, the newest first."""
        return reversed(list(self._of_kind[kind].values()))

    def due(self) -> list[Json]:
        """The objects whose time has come, each once for each time that it was given."""
        come = []
        while self._due and self._due[0][0] <= self.now():
            come.append(self._objects[heapq.heappop(self._due)[1]])
        return come

    def of_intent(self, intent: str, kind: str) -> list[Json]:
        """The sessions, charges or refunds of a payment intent, the newest first."""
        named = (self._objects[name] for name in reversed(self._of_intent.get(intent, ())))
        return [value for value in named if value["object"] == kind]

    def say(self, kind: str, about: Json) -> None:
        """An event: what happened to an object, as it is now."""
        event = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": _VERSION,
            "created": self.now(),
            "type": kind,
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "data": {"object": msgspec.json.decode(msgspec.json.encode(about))},
        }
        self.put(event)
        self.heard(event)

    def recall(self, key: str, request: bytes) -> tuple[int, Any] | None:
        """The kept answer to a request with this key; None when it is the first, which is then being answered.

        Raises ApiError when the key was used for another request, or its first is still being answered.
        """
        fingerprint = hashlib.sha256(request).hexdigest()
        kept = self._keys.get(key)
        if kept is None or kept.at + _KEYS_KEPT_S <= self.now():
            self._keys[key] = _Kept(fingerprint, self.now())
            return None
        if kept.print != fingerprint:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with."
            )
            raise ApiError(400, "idempotency_error", message)
        if not kept.status:
            message = "There is currently another in-progress request using this Idempotent Key."
            raise ApiError(409, "idempotency_error", message, code="idempotency_key_in_use")
        return kept.status, kept.body

    def keep(self, key: str, status: int, body: Any) -> None:
        """Keep the answer to the request that `recall` let through."""
        kept = self._keys[key]
        kept.status, kept.body = status, body
        self._write(_Row(key=key, kept=kept))

    def forget(self, key: str) -> None:
        """The request was not carried out: its key is free again."""
        self._keys.pop(key, None)

    def _place(self, value: Json) -> None:
        name, kind = value["id"], value["object"]
        self._objects[name] = self._of_kind[kind][name] = value
        if at := _due_at(value):
            heapq.heappush(self._due, (at, name))
        intent = value.get("payment_intent")
        if intent and name not in (known := self._of_intent.setdefault(intent, [])):
            known.append(name)

    def _write(self, row: _Row) -> None:
        if self._file is not None:
            self._file.write(msgspec.json.encode(row) + b"\n")

    def _load(self, path: Path) -> None:
        """What a file tells; a last line that was cut off was never answered."""
        if not path.exists():
            return
        whole, _, cut = path.read_bytes().rpartition(b"\n")
        for line in whole.splitlines():
            row = msgspec.json.decode(line, type=_Row)
            if row.object is not None:
                self._place(row.object)
            if row.kept is not None:
                self._keys[row.key] = row.kept
            if row.ahead_s is not None:
                self._ahead_s = row.ahead_s
        if cut:
            with path.open("r+b") as file:
                file.truncate(len(whole) + 1 if whole else 0)


def _due_at(value: Json) -> float:
    """When time alone changes an object; 0: never."""
    if value["object"] == "checkout.session" and value["status"] == "open":
        return float(value["expires_at"])
    return float(value.get("_then_at") or 0)
