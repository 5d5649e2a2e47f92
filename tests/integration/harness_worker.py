"""One worker of the harness tests, as a process: `python -m tests.integration.harness_worker SETTINGS-JSON`.

It says its status on standard output, ten times a second.
"""

import asyncio
import json
import os
import sys
from typing import cast

import msgspec

from relance.kafka.harness import Harness, HarnessSettings
from relance.kafka.machine import Machine
from relance.observability import logs
from relance.observability.shutdown import stop_requested
from tests.integration.harness_machine import CountingFactory, CountingMachine


def wanted_factor(_partition: int, carried: Machine) -> list[bytes]:
    """The control hook: the factor is to be what the environment says."""
    machine = cast("CountingMachine", carried)
    wanted = os.environ.get("WANTED_FACTOR")
    return [b"factor " + wanted.encode()] if wanted and machine.factor != int(wanted) else []


async def tell(harness: Harness) -> None:
    while True:
        status = msgspec.to_builtins(harness.status()) | {"unready": harness.unready()}
        sys.stdout.write(json.dumps(status) + "\n")
        sys.stdout.flush()
        await asyncio.sleep(0.1)


async def stall(harness: Harness) -> None:
    """As if the client had silently stopped fetching: what the watchdog is there for."""
    while True:  # Faust itself lets them flow at the end of a rebalance, some time after all is owned
        await asyncio.sleep(0.05)
        if harness.owned and not harness.unready():
            harness._app.consumer.pause_partitions(harness._app.consumer.assignment())


async def main() -> int:
    logs.configure("harness-test", os.environ.get("LOG_LEVEL", "info"))
    settings = msgspec.json.decode(sys.argv[1], type=HarnessSettings)
    harness = Harness(settings, CountingFactory(settings.app_id + "-outputs"), wanted_factor)
    telling = asyncio.create_task(tell(harness))
    stalling = asyncio.create_task(stall(harness)) if os.environ.get("STALL") else None
    code = await harness.run(stop_requested(asyncio.get_running_loop()))
    telling.cancel()
    if stalling is not None:
        stalling.cancel()
    return code


if __name__ == "__main__":
    code = asyncio.run(main())
    sys.stderr.flush()
    os._exit(code)
