"""What the harness must be told; the defaults are those of docs/adr and the reliability page, each with its reason."""

from pathlib import Path
from tempfile import gettempdir

import msgspec

__all__ = ["HarnessSettings"]


class HarnessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one harness. Topics exist before it starts: it declares none.

    The changelog is `<app_id>-<table>-changelog`, with as many partitions as the input topic.
    """

    kafka: str  # host:port, several with commas
    app_id: str  # the consumer group too
    table: str
    input_topic: str
    partitions: int
    dead_letter_topic: str

    advertised: str = ""  # URL at which the other workers reach this one, "" for none
    datadir: str = str(Path(gettempdir()) / "relance-faust")  # Faust wants one; nothing of worth is kept there

    round_s: float = 60.0  # in which each bucket is saved once: how much is replayed at most
    hand_over_s: float = 5.0  # at most this long for the last save before a partition goes; the rest is replayed
    tick_ms: int = 40  # at least this long between two ticks of a partition: each costs a record, there and back
    idle_tick_ms: int = 1_000  # nothing came for so long: ask for the time
    watchdog_s: float = 60.0  # records wait and none is applied for so long: the process ends
    hole_limit_s: float = 5.0  # a later record came, and the next one has not come for so long: the process ends
    restore_limit_s: float = 15.0  # changelogs are read and nothing has come for so long: the process ends
    rebalance_limit_s: float = 300.0  # a rebalance (restore included) that takes longer: the process ends
    dead_letter_max_bytes: int = 4_000_000  # a longer record is cut, and the dead letter says so

    session_timeout_s: float = 10.0  # how long a dead worker's partitions wait
    heartbeat_s: float = 3.0
    request_timeout_s: float = 15.0  # Faust wants it to be at least the session timeout
    rebalance_timeout_s: float = 30.0  # for the others to hand over
    changelog_timeout_s: float = 30.0  # a write not acknowledged by then ends the process
    output_timeout_s: float = 60.0  # as for the changelog, for what the machines say
    output_linger_ms: float = 2.0
    outputs_in_flight: int = 100_000  # more than these unacknowledged: reading waits
    outputs_in_flight_bytes: int = 67_108_864
