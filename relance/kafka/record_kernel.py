"""What librdkafka has read, looked at and copied in compiled code: thousands of records a call.

Addresses are integers. Functions of librdkafka are called at their addresses, so that the compiled code can be kept.
"""

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["ERROR", "FLAGS", "KIND", "LINES", "OFFSET", "PARTITION", "SIZE", "TIME", "look", "pack", "release"]

# lines of the table of records; it has a column a record
PAYLOAD: Final = 0  # address
SIZE: Final = 1
PARTITION: Final = 2
OFFSET: Final = 3
TIME: Final = 4  # milliseconds
KIND: Final = 5  # of the time: 0 none, 1 the writer's, 2 the broker's
FLAGS: Final = 6
ERROR: Final = 7
LINES: Final = 8
_AHEAD: Final = 6  # records

NO_VALUE: Final = 1
CLOUD_EVENT: Final = 2  # it has a header that begins with "ce_"

# rd_kafka_message_t
_M_ERROR: Final = 0
_M_PARTITION: Final = 16
_M_PAYLOAD: Final = 24
_M_SIZE: Final = 32
_M_OFFSET: Final = 56

_LOW: Final = (1 << 32) - 1


def _pointer(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


@intrinsic
def _word_at(_context: Any, _at: Any) -> Any:
    """The int64 at an address."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(builder, arguments[0], ir.IntType(64)))

    return types.int64(types.int64), generate


@intrinsic
def _half_at(_context: Any, _at: Any) -> Any:
    """The int32 at an address."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.sext(builder.load(_pointer(builder, arguments[0], ir.IntType(32))), ir.IntType(64))

    return types.int64(types.int64), generate


@intrinsic
def _byte_at(_context: Any, _at: Any) -> Any:
    """The byte at an address."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.zext(builder.load(_pointer(builder, arguments[0], ir.IntType(8))), ir.IntType(64))

    return types.int64(types.int64), generate


@intrinsic
def _copy(_context: Any, _target: Any, _source: Any, _size: Any) -> Any:
    """Copy bytes from address to address."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        byte = ir.IntType(8)
        target, source = (_pointer(builder, address, byte) for address in arguments[:2])
        cgutils.raw_memcpy(builder, target, source, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def _prefetch(_context: Any, _at: Any) -> Any:
    """Have the 128 bytes from an address on fetched while others are looked at; any address will do."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        byte, number = ir.IntType(8), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        for line in (0, 64):
            at = builder.add(arguments[0], ir.Constant(ir.IntType(64), line))
            builder.call(function, [_pointer(builder, at, byte), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(types.int64), generate


def _generate_call(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    word = context.get_value_type(signature.return_type)
    kind = ir.FunctionType(word, [ir.IntType(64)] * (len(arguments) - 1))
    return builder.call(_pointer(builder, arguments[0], kind), arguments[1:])


@intrinsic
def _call_1(_context: Any, _function: Any, _a: Any) -> Any:
    return types.int64(types.int64, types.int64), _generate_call


@intrinsic
def _call_2(_context: Any, _function: Any, _a: Any, _b: Any) -> Any:
    return types.int64(types.int64, types.int64, types.int64), _generate_call


@intrinsic
def _call_5(_context: Any, _function: Any, _a: Any, _b: Any, _c: Any, _d: Any, _e: Any) -> Any:
    return types.int64(*[types.int64] * 6), _generate_call


@njit(nogil=True)
def _has_attributes(message: int, room: int, headers_of: int, header_of: int) -> bool:
    """Whether a header of the record begins with "ce_". `room`: address of 4 words to write to."""
    if _call_2(headers_of, message, room) & _LOW != 0:
        return False
    place = 0
    while _call_5(header_of, _word_at(room), place, room + 8, room + 16, room + 24) & _LOW == 0:
        name = _word_at(room + 8)
        # byte by byte: what is behind the NUL of a shorter name may not be ours to read
        if _byte_at(name) == 0x63 and _byte_at(name + 1) == 0x65 and _byte_at(name + 2) == 0x5F:
            return True
        place += 1
    return False


@njit(nogil=True, cache=True)
def look(messages: Any, table: Any, functions: Any) -> Any:
    """Fill the table (`LINES`, records) from the records at the addresses `messages`; the number of errors among them.

    `functions`: addresses of rd_kafka_message_timestamp, rd_kafka_message_headers and rd_kafka_header_get_all.
    """
    words = np.zeros(4, np.int64)
    room = np.int64(words.ctypes.data)
    errors = 0
    count = messages.shape[0]
    for place in range(count):
        message = messages[place]
        _prefetch(messages[min(place + _AHEAD, count - 1)])
        table[PAYLOAD, place] = _word_at(message + _M_PAYLOAD)
        table[SIZE, place] = _word_at(message + _M_SIZE)
        table[PARTITION, place] = _half_at(message + _M_PARTITION)
        table[OFFSET, place] = _word_at(message + _M_OFFSET)
        table[ERROR, place] = _half_at(message + _M_ERROR)
        table[FLAGS, place] = 0
        if table[ERROR, place]:
            errors += 1
            continue
        table[TIME, place] = _call_2(functions[0], message, room)
        table[KIND, place] = words[0] & _LOW
        if not table[PAYLOAD, place]:
            table[FLAGS, place] |= NO_VALUE
        if _has_attributes(message, room, functions[1], functions[2]):
            table[FLAGS, place] |= CLOUD_EVENT
    return errors


@njit(nogil=True, cache=True)
def pack(table: Any, buffer: Any, spans: Any) -> None:
    """Copy the values into `buffer`, each with a NUL behind it; `spans[i]`: where value i begins and ends in it."""
    base = np.int64(buffer.ctypes.data)
    at = 0
    count = table.shape[1]
    for place in range(count):
        size = table[SIZE, place]
        _prefetch(table[PAYLOAD, min(place + _AHEAD, count - 1)])
        _copy(base + at, table[PAYLOAD, place], size)
        spans[place, 0] = at
        at += size
        spans[place, 1] = at
        buffer[at] = 0
        at += 1


@njit(nogil=True, cache=True)
def release(messages: Any, destroy: int) -> None:
    """Give the records back. `destroy`: address of rd_kafka_message_destroy."""
    for place in range(messages.shape[0]):
        _call_1(destroy, messages[place])
