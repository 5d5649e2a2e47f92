"""Settings of the session service: each field is the variable `RELANCE_SESSION_<FIELD>`."""

from ipaddress import ip_address
from typing import Annotated, Final, Literal

import msgspec

from relance.kernel.errors import InputError

__all__ = ["Settings"]

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3_600)]
_HASH_KEY_MIN: Final = 16  # letters


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Port 0 is any free port (it is logged).

    Raises InputError when there is no hash key to speak of, and when other workers would be told of no real address.
    """

    kafka: str = msgspec.field(name="RELANCE_KAFKA", default="127.0.0.1:9092")  # bootstrap servers
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    # where it listens
    host: str = "127.0.0.1"
    grpc_port: Port = 8082
    advertised: str = ""  # host:port at which other workers reach this one's gRPC; empty: host and grpc_port
    metrics_host: str = "127.0.0.1"
    metrics_port: Port = 9102
    grpc_calls_max: Positive = 256  # open at a time, streams included
    stream_backlog_max: Positive = 10_000  # signals that wait for a slow reader of StreamSignals before it is cut off

    # checkpoints
    # Never changed once something was saved. A bucket stays below 512 KB up to some 4 million sessions a partition.
    buckets: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 512
    # A secret of 16 to 64 letters that must be given, the same for all workers and for ever. Who knew it could choose
    # visitor ids that hash alike: they slow a partition down, and fill one bucket beyond what Kafka takes.
    hash_key: Annotated[str, msgspec.Meta(max_length=64, pattern="^[!-~]*$")] = ""
    round_s: Seconds = 60.0  # in which each bucket is saved once: how much is replayed at most

    # the group
    session_timeout_s: Seconds = 10.0  # how long a dead worker's partitions wait
    watchdog_s: Seconds = 60.0  # a partition that lags and makes no progress for so long ends the process

    def __post_init__(self) -> None:
        if len(self.hash_key) < _HASH_KEY_MIN:
            raise InputError(
                f"settings: RELANCE_SESSION_HASH_KEY is {'too short' if self.hash_key else 'not set'}: make a secret "
                f"of {_HASH_KEY_MIN} to 64 letters once (`openssl rand -hex 32`), give it to every worker, and keep "
                "it: state saved with one key cannot be read with another"
            )
        told, name = (self.advertised, "ADVERTISED") if self.advertised else (self.host, "HOST")
        host = told.rpartition(":")[0] if self.advertised else told
        if _is_every_address(host):
            raise InputError(
                f"settings: RELANCE_SESSION_{name} is {told!r}, no address that other workers could reach: set "
                "RELANCE_SESSION_ADVERTISED to host:port of this worker's gRPC, as seen from the others"
            )


def _is_every_address(host: str) -> bool:
    """Whether a server that listens there listens on all addresses of its machine."""
    try:
        return ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return host in {"", "*"}
