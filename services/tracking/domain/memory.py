"""Memory read and written at addresses, in compiled code.

An address is one integer; an array costs a compiled function seven arguments and a reference count a call. Whoever
calls keeps the memory alive, and 64 readable bytes behind it.
"""

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = [
    "LANES", "PADDING_BYTES", "before_pair", "before_query", "before_slash", "byte_at", "cell", "plain_bytes",
    "put_byte", "put_word", "word_at",
]  # fmt: skip

PADDING_BYTES: Final = 64
LANES: Final = 32  # bytes looked at together

_QUOTE: Final = 0x22
_BACKSLASH: Final = 0x5C


def _load(builder: Any, address: Any, kind: Any) -> Any:
    load = builder.load(builder.inttoptr(address, kind.as_pointer()))
    load.align = 1
    return load


@intrinsic
def plain_bytes(_context: Any, _at: Any) -> Any:
    """How many of the 32 bytes from an address on are plain: ASCII, no control character, quote or backslash."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        lanes = ir.VectorType(ir.IntType(8), LANES)
        block = _load(builder, arguments[0], lanes)

        def splat(value: int) -> Any:
            return ir.Constant(lanes, [value] * LANES)

        quote = builder.icmp_unsigned("==", block, splat(_QUOTE))
        escape = builder.icmp_unsigned("==", block, splat(_BACKSLASH))
        other = builder.icmp_signed("<", block, splat(0x20))  # control characters, and from 0x80 on: negative
        found = builder.bitcast(builder.or_(builder.or_(quote, escape), other), ir.IntType(LANES))
        count = builder.cttz(found, ir.Constant(ir.IntType(1), 0))
        return builder.zext(count, ir.IntType(64))

    return types.int64(types.int64), generate


def _distance(wanted: bytes) -> Any:
    """A compiled function: how many of the 32 bytes from an address on come before the first of `wanted`."""

    def typed(_context: Any, _at: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            lanes = ir.VectorType(ir.IntType(8), LANES)
            block = _load(builder, arguments[0], lanes)
            found = ir.Constant(ir.IntType(LANES), 0)
            for byte in wanted:
                equal = builder.icmp_unsigned("==", block, ir.Constant(lanes, [byte] * LANES))
                found = builder.or_(found, builder.bitcast(equal, ir.IntType(LANES)))
            count = builder.cttz(found, ir.Constant(ir.IntType(1), 0))
            return builder.zext(count, ir.IntType(64))

        return types.int64(types.int64), generate

    return intrinsic(typed)


before_query = _distance(b"?#")
before_pair = _distance(b"&#")
before_slash = _distance(b"/")


@intrinsic
def word_at(_context: Any, _at: Any) -> Any:
    """The 8 bytes from an address on as one little-endian word."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _load(builder, arguments[0], ir.IntType(64))

    return types.uint64(types.int64), generate


@intrinsic
def byte_at(_context: Any, _at: Any) -> Any:
    """The byte at an address, 0 to 255."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.zext(_load(builder, arguments[0], ir.IntType(8)), ir.IntType(64))

    return types.int64(types.int64), generate


@intrinsic
def put_byte(_context: Any, _at: Any, _value: Any) -> Any:
    """Write one byte."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        kind = ir.IntType(8)
        builder.store(builder.trunc(arguments[1], kind), builder.inttoptr(arguments[0], kind.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def put_word(_context: Any, _at: Any, _value: Any) -> Any:
    """Write one word."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def cell(_context: Any, _table: Any, _place: Any) -> Any:
    """One integer of the table of int64 at an address."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        offset = builder.shl(arguments[1], ir.Constant(ir.IntType(64), 3))
        return _load(builder, builder.add(arguments[0], offset), ir.IntType(64))

    return types.int64(types.int64, types.int64), generate
