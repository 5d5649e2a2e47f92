"""librdkafka's C interface, from the very library that confluent_kafka is linked with.

confluent_kafka makes seven Python objects of each record. Where records are many and small, that costs more than all
that is done with them: the raw topic's loop reads them where librdkafka has put them instead (see `records`). Only what
librdkafka's header promises to keep is used: its functions, and the public part of its structures.
"""

import ctypes
from collections.abc import Iterable, Mapping
from ctypes import POINTER, byref, c_char_p, c_int, c_int32, c_int64, c_size_t, c_void_p
from typing import Any, Final

from confluent_kafka import cimpl

from relance.kernel.errors import InputError

__all__ = [
    "LIBRARY", "PLACES", "REBALANCE", "Message", "PartitionList", "address_of", "configuration", "describe",
    "fatal_error", "headers_of", "partition_list", "partitions_in", "time_of",
]  # fmt: skip

Partition = tuple[str, int]
PLACES: Final = -1001  # RD_KAFKA_OFFSET_INVALID: a partition without an offset
_CONF_OK: Final = 0
_TEXT_BYTES: Final = 512


class Message(ctypes.Structure):
    """`rd_kafka_message_t`."""

    _fields_ = (
        ("error", c_int), ("topic", c_void_p), ("partition", c_int32), ("payload", c_void_p), ("size", c_size_t),
        ("key", c_void_p), ("key_size", c_size_t), ("offset", c_int64), ("private", c_void_p),
    )  # fmt: skip


class _TopicPartition(ctypes.Structure):
    _fields_ = (
        ("topic", c_char_p), ("partition", c_int32), ("offset", c_int64), ("metadata", c_void_p),
        ("metadata_size", c_size_t), ("opaque", c_void_p), ("error", c_int), ("private", c_void_p),
    )  # fmt: skip


class PartitionList(ctypes.Structure):
    """`rd_kafka_topic_partition_list_t`."""

    _fields_ = (("count", c_int), ("size", c_int), ("places", POINTER(_TopicPartition)))


REBALANCE: Final = ctypes.CFUNCTYPE(None, c_void_p, c_int, POINTER(PartitionList), c_void_p)

_LIST: Final = POINTER(PartitionList)
_SIGNATURES: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "conf_new": (c_void_p, ()),
    "conf_set": (c_int, (c_void_p, c_char_p, c_char_p, c_char_p, c_size_t)),
    "conf_destroy": (None, (c_void_p,)),
    "conf_set_rebalance_cb": (None, (c_void_p, REBALANCE)),
    "new": (c_void_p, (c_int, c_void_p, c_char_p, c_size_t)),
    "destroy": (None, (c_void_p,)),
    "poll_set_consumer": (c_int, (c_void_p,)),
    "queue_get_consumer": (c_void_p, (c_void_p,)),
    "queue_destroy": (None, (c_void_p,)),
    "consume_batch_queue": (c_int64, (c_void_p, c_int, c_void_p, c_size_t)),
    "consumer_close": (c_int, (c_void_p,)),
    "subscribe": (c_int, (c_void_p, _LIST)),
    "assign": (c_int, (c_void_p, _LIST)),
    "commit": (c_int, (c_void_p, _LIST, c_int)),
    "pause_partitions": (c_int, (c_void_p, _LIST)),
    "resume_partitions": (c_int, (c_void_p, _LIST)),
    "topic_partition_list_new": (_LIST, (c_int,)),
    "topic_partition_list_add": (POINTER(_TopicPartition), (_LIST, c_char_p, c_int32)),
    "topic_partition_list_destroy": (None, (_LIST,)),
    "topic_name": (c_char_p, (c_void_p,)),
    "err2str": (c_char_p, (c_int,)),
    "last_error": (c_int, ()),
    "fatal_error": (c_int, (c_void_p, c_char_p, c_size_t)),
    "message_destroy": (None, (c_void_p,)),
    "message_timestamp": (c_int64, (c_void_p, POINTER(c_int))),
    "message_headers": (c_int, (c_void_p, POINTER(c_void_p))),
    "header_get_all": (c_int, (c_void_p, c_size_t, POINTER(c_char_p), POINTER(c_void_p), POINTER(c_size_t))),
}


class _Library:
    """The functions, without their prefix `rd_kafka_`."""

    def __init__(self) -> None:
        # Symbols are looked for in what a library is linked with too: the wheel's own copy has a name of its own.
        linked = ctypes.CDLL(cimpl.__file__)
        self._functions: dict[str, Any] = {}
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(linked, f"rd_kafka_{name}")
            function.restype = result
            function.argtypes = arguments
            self._functions[name] = function

    def __getattr__(self, name: str) -> Any:
        try:
            return self._functions[name]
        except KeyError:
            raise AttributeError(name) from None


LIBRARY: Final = _Library()


def address_of(name: str) -> int:
    """Where a function begins, for compiled code."""
    return ctypes.cast(getattr(LIBRARY, name), c_void_p).value or 0


def configuration(settings: Mapping[str, Any]) -> int:
    """A new `rd_kafka_conf_t`. Raises InputError when a setting is not known or not right."""
    conf: int = LIBRARY.conf_new()
    text = ctypes.create_string_buffer(_TEXT_BYTES)
    for name, value in settings.items():
        words = str(value).lower() if isinstance(value, bool) else str(value)
        if LIBRARY.conf_set(conf, name.encode(), words.encode(), text, _TEXT_BYTES) != _CONF_OK:
            LIBRARY.conf_destroy(conf)
            raise InputError(text.value.decode(errors="replace"))
    return conf


def describe(error: int) -> str:
    """An error code in words."""
    words: bytes = LIBRARY.err2str(error)
    return words.decode(errors="replace")


def fatal_error(client: int) -> str | None:
    """Why the client cannot go on; None while it can."""
    text = ctypes.create_string_buffer(_TEXT_BYTES)
    return text.value.decode(errors="replace") if LIBRARY.fatal_error(client, text, _TEXT_BYTES) else None


class partition_list:  # noqa: N801 - it is used like a function
    """A list of partitions, with offsets where a mapping gives them, for as long as the block lasts."""

    def __init__(self, places: Iterable[Partition] | Mapping[Partition, int]) -> None:
        offsets = places if isinstance(places, Mapping) else dict.fromkeys(places, PLACES)
        self._list = LIBRARY.topic_partition_list_new(len(offsets))
        for (topic, number), offset in offsets.items():
            LIBRARY.topic_partition_list_add(self._list, topic.encode(), number).contents.offset = offset

    def __enter__(self) -> Any:
        return self._list

    def __exit__(self, *_error: object) -> None:
        LIBRARY.topic_partition_list_destroy(self._list)


def partitions_in(places: Any) -> list[tuple[Partition, int]]:
    """The partitions of a list, each with its error code."""
    found = places.contents
    return [((place.topic.decode(), place.partition), place.error) for place in found.places[: found.count]]


def time_of(message: int) -> tuple[int, int]:
    """The kind of a record's time (0 none, 1 its writer's, 2 the broker's) and the time in milliseconds."""
    kind = c_int()
    time_ms: int = LIBRARY.message_timestamp(message, byref(kind))
    return kind.value, time_ms


def headers_of(message: int) -> list[tuple[str, bytes | None]]:
    """A record's headers in order."""
    headers, name, value, size = c_void_p(), c_char_p(), c_void_p(), c_size_t()
    found: list[tuple[str, bytes | None]] = []
    if LIBRARY.message_headers(message, byref(headers)) != 0:
        return found
    while LIBRARY.header_get_all(headers, len(found), byref(name), byref(value), byref(size)) == 0:
        text = None if value.value is None else ctypes.string_at(value.value, size.value)
        found.append(((name.value or b"").decode(errors="replace"), text))
    return found
