"""A Merkle tree as RFC 6962 builds it: SHA-256, leaves after a zero byte, inner nodes after a one."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Literal, TypeAlias

__all__ = ["Path", "path", "root", "root_from"]

Path: TypeAlias = tuple[tuple[Literal["left", "right"], str], ...]


def root(leaves: Sequence[bytes]) -> str:
    """The root over `leaves` in their order, in hexadecimal; SHA-256 of nothing for no leaf."""
    return _levels(leaves)[-1][0].hex() if leaves else sha256(b"").hexdigest()


def path(leaves: Sequence[bytes], index: int) -> Path:
    """What stands beside leaf `index` on each level, from the leaf to the root."""
    steps: list[tuple[Literal["left", "right"], str]] = []
    for level in _levels(leaves)[:-1]:
        beside = index ^ 1
        if beside < len(level):
            steps.append(("left" if beside < index else "right", level[beside].hex()))
        index //= 2
    return tuple(steps)


def root_from(leaf: bytes, steps: Path) -> str:
    """The root that `leaf` leads to along `steps`."""
    node = _leaf(leaf)
    for side, beside in steps:
        other = bytes.fromhex(beside)
        node = _node(other, node) if side == "left" else _node(node, other)
    return node.hex()


def _levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    # Pairing from the left and passing an odd last node on upwards gives RFC 6962's tree.
    levels = [[_leaf(leaf) for leaf in leaves]]
    while len(level := levels[-1]) > 1:
        above = [_node(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        levels.append([*above, level[-1]] if len(level) % 2 else above)
    return levels


def _leaf(leaf: bytes) -> bytes:
    return sha256(b"\0" + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()
