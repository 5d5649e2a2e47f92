"""The event types of `relance.events`, told to compiled code as tables of integers.

The tables are read out of the strict Structs when the process starts, so the two cannot drift apart: a field whose type
is not understood here makes the events that carry it go to the strict decoder.
"""

import types
from typing import Any, Final, Literal, Union, get_args, get_origin

import msgspec
import numpy as np
import numpy.typing as npt

from relance.events.catalog import CHANNEL_BIT, DEVICES, EVENT_TYPES, Stage
from relance.events.codec import STRUCTS
from relance.events.envelope import MAX_ITEMS, Contact, Data, Envelope, Item
from relance.events.guard import MAX_BYTES

__all__ = ["Shapes", "key_words"]

Table = npt.NDArray[np.int64]

# kinds of a value
ANY: Final = 0  # looked at by nobody: any JSON
STRING: Final = 1
INTEGER: Final = 2
BOOLEAN: Final = 3
WORD: Final = 4  # one of a few strings
INSTANT: Final = 5
ITEMS: Final = 6
OBJECT: Final = 7  # of a shape with plain fields
CONSENT: Final = 8
DATA: Final = 9
STRANGE: Final = 10  # for the strict decoder

# what a field is for; 0: only to be checked
NO_ROLE: Final = 0
ENVELOPE_ROLES: Final = {
    "id": 1, "source": 2, "type": 3, "time": 4, "visitorid": 5, "personid": 6, "device": 7, "returning": 8,
    "senttime": 9, "data": 10,
}  # fmt: skip
DATA_ROLES: Final = {
    "cart_id": 11, "currency": 12, "total_minor": 13, "items": 14, "product_id": 15, "page": 16, "url": 17,
    "campaign": 18, "consent": 19, "channel": 20, "status": 21,
}  # fmt: skip
ITEM_ROLES: Final = {"product_id": 22, "quantity": 23, "price_minor": 24}
ROLES: Final = 25

# columns of a field
FIELD_KIND: Final = 0
FIELD_ROLE: Final = 1
FIELD_BIT: Final = 2  # its bit in the masks of its shape
FIELD_NULLABLE: Final = 3
FIELD_LOW: Final = 4  # least value, or least length
FIELD_HIGH: Final = 5
FIELD_EXTRA: Final = 6  # the shape of an object, the space of a word
FIELD_WIDTH: Final = 8

# columns of a shape
SHAPE_REQUIRED: Final = 0
SHAPE_ONE_OF: Final = 1  # 0, or fields of which one must be given
SHAPE_WIDTH: Final = 2

# columns of an event type, by its code
TYPE_SHAPE: Final = 0  # of its data
TYPE_DATA_REQUIRED: Final = 1
TYPE_FACT: Final = 2
TYPE_PRODUCT: Final = 3  # of the stage product
TYPE_CONSENT: Final = 4  # consent.changed
TYPE_WIDTH: Final = 8

# columns of a slot of the dictionary: space and four words of the key, then what it means
SLOT_WIDTH: Final = 6
KEY_BYTES: Final = 32  # a longer key is known to none

ENVELOPE: Final = 0  # shapes; a shape is also the space of its fields' names
ITEM: Final = 1
CONTACT: Final = 2
TYPE_SPACE: Final = 1_000  # further spaces
CHANNEL_SPACE: Final = 1_001
DEVICE_SPACE: Final = 1_002
WORD_SPACES: Final = 2_000

MIX: Final = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5)
_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF
_NO_LIMIT: Final = 2**60


def key_words(key: bytes) -> tuple[int, int, int, int]:
    """The key as four little-endian words, zeros behind it."""
    padded = key.ljust(KEY_BYTES, b"\0")
    first, second, third, fourth = (int.from_bytes(padded[at : at + 8], "little") for at in (0, 8, 16, 24))
    return first, second, third, fourth


def slot_of(space: int, words: tuple[int, int, int, int], mask: int) -> int:
    """Where the search for a key begins; `members.find` computes the same. At most 2**24 slots."""
    first, second, third, fourth = words
    h = (first + space) * MIX[0] ^ second * MIX[1] ^ third * MIX[2] ^ fourth * MIX[3]
    return ((h & _MASK) >> 40) & mask


class Shapes:
    """The tables: `slots`, `fields`, `shapes` and `types`, each of int64 and read only."""

    def __init__(self) -> None:
        self._fields: list[list[int]] = []
        self._shapes: list[list[int]] = []
        self._keys: list[tuple[int, bytes, int]] = []
        self._data_shapes: dict[type[msgspec.Struct], int] = {}
        self._words: dict[tuple[str, ...], int] = {}
        self._words_of(CHANNEL_SPACE, {name: place for place, name in enumerate(CHANNEL_BIT)})
        self._words_of(DEVICE_SPACE, DEVICES)
        self._envelope()
        self._add_shape(Item, ITEM_ROLES)
        self._add_shape(Contact, {})
        types_ = self._types()
        self.fields: Table = np.array(self._fields, np.int64)
        self.shapes: Table = np.array(self._shapes, np.int64)
        self.types: Table = np.array(types_, np.int64)
        self.slots: Table = self._dictionary()
        self.mask = len(self.slots) - 1
        self.event_bytes_max = MAX_BYTES
        for table in (self.fields, self.shapes, self.types, self.slots):
            table.flags.writeable = False

    def _envelope(self) -> None:
        shape = self._add_shape(Envelope, ENVELOPE_ROLES)
        for name, kind in (("type", WORD), ("data", DATA)):
            bit = sum(1 for space, _, _ in self._keys if space == shape)
            self._keys.append((shape, name.encode(), len(self._fields)))
            self._fields.append([kind, ENVELOPE_ROLES[name], bit, 0, 0, 0, TYPE_SPACE, 0])
            if name == "type":
                self._shapes[shape][SHAPE_REQUIRED] |= 1 << bit
        if shape != ENVELOPE:
            raise AssertionError(shape)

    def _types(self) -> list[list[int]]:
        envelope_fields = {field.name for field in msgspec.structs.fields(Envelope)}
        table = [[0] * TYPE_WIDTH]
        for event_type in EVENT_TYPES:
            fields = {field.name: field for field in msgspec.structs.fields(STRUCTS[event_type.name])}
            if fields.keys() - envelope_fields != {"data"}:
                raise AssertionError(event_type.name)
            data = fields["data"]
            row = [self._data_shape(data.type), int(data.required), int(event_type.fact)]
            row += [int(event_type.stage is Stage.PRODUCT), int(event_type.name == "consent.changed"), 0, 0, 0]
            table.append(row)
        self._words_of(TYPE_SPACE, {event_type.name: event_type.code for event_type in EVENT_TYPES})
        return table

    def _data_shape(self, kind: type[Data]) -> int:
        if kind not in self._data_shapes:
            self._data_shapes[kind] = self._add_shape(kind, DATA_ROLES)
        return self._data_shapes[kind]

    def _add_shape(self, kind: type[msgspec.Struct], roles: dict[str, int]) -> int:
        shape = len(self._shapes)
        required = 0
        bits: dict[str, int] = {}
        for bit, field in enumerate(msgspec.structs.fields(kind)):
            name = field.encode_name
            bits[name] = 1 << bit
            required |= bits[name] if field.required else 0
            self._keys.append((shape, name.encode(), len(self._fields)))
            self._fields.append(self._field(field.type, roles.get(name, NO_ROLE), bit))
        if len(bits) > 60:
            raise AssertionError(kind)
        one_of = sum(bits[name] for name in getattr(kind, "one_of", ()))
        self._shapes.append([required, one_of])
        return shape

    def _field(self, annotation: Any, role: int, bit: int) -> list[int]:
        nullable = 0
        metas: list[msgspec.Meta] = []
        while True:
            origin = get_origin(annotation)
            if hasattr(annotation, "__metadata__"):
                metas += [meta for meta in annotation.__metadata__ if isinstance(meta, msgspec.Meta)]
                annotation = annotation.__origin__
            elif origin in (Union, types.UnionType):
                rest = [part for part in get_args(annotation) if part is not type(None)]
                nullable = int(len(rest) < len(get_args(annotation)))
                if len(rest) != 1:
                    return [STRANGE, role, bit, 0, 0, 0, 0, 0]
                annotation = rest[0]
            else:
                break
        kind, low, high, extra = self._kind(annotation, metas)
        return [kind, role, bit, nullable, low, high, extra, 0]

    def _kind(self, annotation: Any, metas: list[msgspec.Meta]) -> tuple[int, int, int, int]:
        known = {"ge", "le", "min_length", "max_length", "tz", "description", "extra_json_schema"}
        said = {name: getattr(meta, name) for meta in metas for name in _META_NAMES if getattr(meta, name) is not None}
        if said.keys() - known:
            return STRANGE, 0, 0, 0
        name = getattr(annotation, "__name__", "")
        if annotation is str:
            return STRING, said.get("min_length", 0), said.get("max_length", _NO_LIMIT), 0
        if annotation is int:
            return INTEGER, said.get("ge", -_NO_LIMIT), said.get("le", _NO_LIMIT), 0
        if annotation is bool:
            return BOOLEAN, 0, 0, 0
        if name == "datetime" and said.get("tz"):
            return INSTANT, 0, 0, 0
        if annotation is Contact:
            return OBJECT, 0, 0, CONTACT
        if get_origin(annotation) is tuple and get_args(annotation) == (Item, ...):
            return ITEMS, 0, said.get("max_length", MAX_ITEMS), ITEM
        if annotation == dict[str, Any]:
            return CONSENT, 0, 0, 0
        if get_origin(annotation) is Literal and all(isinstance(word, str) for word in get_args(annotation)):
            return WORD, 0, 0, self._word_space(get_args(annotation))
        return STRANGE, 0, 0, 0

    def _word_space(self, words: tuple[str, ...]) -> int:
        if words == tuple(CHANNEL_BIT):
            return CHANNEL_SPACE
        if words == tuple(DEVICES):
            return DEVICE_SPACE
        if words not in self._words:
            self._words[words] = WORD_SPACES + len(self._words)
            self._words_of(self._words[words], {word: place for place, word in enumerate(words)})
        return self._words[words]

    def _words_of(self, space: int, meanings: dict[str, int]) -> None:
        self._keys += [(space, word.encode(), meaning) for word, meaning in meanings.items()]

    def _dictionary(self) -> Table:
        size = 1 << (4 * len(self._keys)).bit_length()
        slots = np.full((size, SLOT_WIDTH), -1, np.int64)
        for space, key, meaning in self._keys:
            if len(key) > KEY_BYTES:  # compiled code would take it for a field that nobody knows
                raise AssertionError(key)
            words = key_words(key)
            at = slot_of(space, words, size - 1)
            while slots[at, 0] != -1:
                at = (at + 1) & (size - 1)
            slots[at] = np.array([space, *words, meaning], np.uint64).view(np.int64)
        return slots


_META_NAMES: Final = tuple(name for name in dir(msgspec.Meta) if not name.startswith("_"))
