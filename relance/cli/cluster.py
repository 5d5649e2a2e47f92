"""Which Kafka the commands talk to."""

import os

__all__ = ["bootstrap"]


def bootstrap() -> str:
    """RELANCE_KAFKA, else the local broker of RELANCE_HOME. Raises InputError that says what to run."""
    from relance.kafka import connection

    return connection.bootstrap_servers(os.environ, connection.home_dir(os.environ))
