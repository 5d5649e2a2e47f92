"""Which Kafka to talk to."""

from collections.abc import Mapping
from pathlib import Path

from relance.kafka import local
from relance.kernel.errors import InputError

__all__ = ["bootstrap_servers", "home_dir"]


def home_dir(environ: Mapping[str, str]) -> Path:
    """Where this machine's data lies: RELANCE_HOME, else `.relance` in the working directory."""
    return Path(environ.get("RELANCE_HOME") or ".relance")


def bootstrap_servers(environ: Mapping[str, str], home: Path) -> str:
    """The cluster that RELANCE_KAFKA names, else the local broker of `home`; raises InputError when there is none."""
    named = environ.get("RELANCE_KAFKA", "").strip()
    if named:
        return named
    broker = local.status(home)
    if broker is None:
        message = "no Kafka: run `relance kafka start`, or name a cluster in RELANCE_KAFKA (host:port,…)"
        raise InputError(message)
    return broker.bootstrap
