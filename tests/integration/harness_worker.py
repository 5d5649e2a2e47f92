"""One worker process of the harness tests: `python harness_worker.py SETTINGS-JSON`; says its status on standard
output."""

import asyncio
import json
import os
import sys
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness_machine import CountingFactory, CountingMachine

from relance.kafka.harness import Harness, HarnessSettings
from relance.observability import logs
from relance.observability.shutdown import stop_requested


def wanted_factor(_partition: int, machine: CountingMachine) -> list[bytes]:
    """The control hook: the factor is to be what the environment says."""
    wanted = os.environ.get("WANTED_FACTOR")
    return [b"factor " + wanted.encode()] if wanted and machine.factor != int(wanted) else []


async def tell(harness: Harness) -> None:
    while True:
        status = msgspec.to_builtins(harness.status()) | {"unready": harness.unready()}
        sys.stdout.write(json.dumps(status) + "\n")
        sys.stdout.flush()
        await asyncio.sleep(0.1)


async def main() -> int:
    logs.configure("harness-test", os.environ.get("LOG_LEVEL", "info"))
    settings = msgspec.json.decode(sys.argv[1], type=HarnessSettings)
    harness = Harness(settings, CountingFactory(settings.app_id + "-outputs"), wanted_factor)
    telling = asyncio.create_task(tell(harness))
    code = await harness.run(stop_requested(asyncio.get_running_loop()))
    telling.cancel()
    return code


if __name__ == "__main__":
    code = asyncio.run(main())
    sys.stderr.flush()
    os._exit(code)
