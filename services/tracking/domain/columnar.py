"""What the encoder gives: rows, facts and refusals of a handful or of thousands of events."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from relance.events.faults import Problem
from services.tracking.domain.rows import WIDTH, Rows

__all__ = ["EMPTY_ROWS", "Encoded", "Refusal"]

EMPTY_ROWS: Rows = np.empty((0, WIDTH), np.int64)


class Refusal(msgspec.Struct, frozen=True):
    """An event that is not taken; `index` is its place in what was given."""

    index: int
    problems: tuple[Problem, ...]


class Encoded(msgspec.Struct, kw_only=True):
    """Events, ready for Kafka. Every event given is a row, a fact, both, or a refusal; never none of them.

    `index[i]` is the input's place of row i. `fact_keys[i]`, `fact_values[i]`: one message of `tracking.facts.v1`;
    among them are the `identity.linked` facts of visitor ids that are no UUIDs. `undone` must be called when Kafka did
    not take it (the batcher does): then those pairs are written again with the visitor's next event.
    """

    count: int
    rows: Rows = msgspec.field(default_factory=lambda: EMPTY_ROWS)
    index: Sequence[int] = ()
    strings: bytes = b""
    shops: Sequence[str] = ()
    fact_keys: Sequence[bytes] = ()
    fact_values: Sequence[bytes] = ()
    refusals: Sequence[Refusal] = ()
    undone: Callable[[], None] | None = None

    @property
    def size_bytes(self) -> int:
        """Memory that it holds until Kafka has it."""
        return self.rows.nbytes + len(self.strings) + sum(map(len, self.fact_values)) + 256

    @property
    def accepted(self) -> int:
        """How many events Kafka will hold once it is acknowledged."""
        return self.count - len(self.refusals)
