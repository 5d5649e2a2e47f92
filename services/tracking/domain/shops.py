"""Shops as small integers that stay the same while the process lives."""

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from services.tracking.domain.hashing import hash64

__all__ = ["ShopTable"]

_SLOT: Final = 4  # code, hash, length of the name, address of the name


class ShopTable:
    """Known shops and their codes; a shop that is no longer known keeps its code.

    `open_to_all` takes any shop at its first event (for files, where nobody keeps a directory). Compiled code reads
    `slots`, `mask` and `known`; they are replaced, so read them again when `version` has changed.
    """

    def __init__(self, names: Iterable[str] = (), *, open_to_all: bool = False) -> None:
        self.names: list[str] = []
        self.open_to_all = open_to_all
        self.version = 0
        self._codes: dict[str, int] = {}
        self._texts: list[npt.NDArray[np.uint8]] = []  # keeps the memory of the names
        self.known: npt.NDArray[np.uint8] = np.zeros(8, np.uint8)
        self.slots: npt.NDArray[np.int64] = np.full((16, _SLOT), -1, np.int64)
        self.set_known(names)

    @property
    def mask(self) -> int:
        """Number of slots less one."""
        return len(self.slots) - 1

    def set_known(self, names: Iterable[str]) -> None:
        """From now on these shops are known, and no others."""
        wanted = [self._code(name) for name in names]
        self.known = np.zeros(len(self.names) + 8, np.uint8)
        self.known[wanted] = 1
        self.version += 1

    def add(self, name: str) -> int:
        """Code of a shop that is known from now on."""
        code = self._code(name)
        if code >= len(self.known):
            self.known = np.concatenate([self.known, np.zeros(len(self.known) + 8, np.uint8)])
        self.known[code] = 1
        self.version += 1
        return code

    def code(self, name: str) -> int | None:
        """Code of a known shop; of any shop when open to all."""
        code = self._codes.get(name)
        if code is not None and self.known[code]:
            return code
        return self.add(name) if self.open_to_all else None

    def _code(self, name: str) -> int:
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = len(self.names)
            self.names.append(name)
            self._texts.append(np.frombuffer(name.encode() + bytes(8), np.uint8))
            self._place(code)
        return code

    def _place(self, code: int) -> None:
        if 4 * len(self.names) > len(self.slots):
            self.slots = np.full((2 * len(self.slots), _SLOT), -1, np.int64)
            for earlier in range(code):
                self._place(earlier)
        text = self._texts[code]
        size = len(text) - 8
        h = hash64(text[:size].tobytes(), 0)
        at = h & self.mask
        while self.slots[at, 0] >= 0:
            at = (at + 1) & self.mask
        self.slots[at] = (code, np.uint64(h).astype(np.int64), size, text.ctypes.data)
