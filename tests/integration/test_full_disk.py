"""The broker's disk is full: what was acknowledged is there afterwards, who is concerned says so, and all goes on."""

import errno
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest

from relance.kafka import local
from tests.integration.spine_kit import OpenShop, Spine, until, windows
from tests.integration.tracking_kit import BATCH, Log, wait_for
from tests.integration.traffic_kit import drained, simulation

pytestmark = [pytest.mark.kafka, pytest.mark.chaos, pytest.mark.timeout(600)]

DISK_MB = 48
WINDOWS = windows(gap_s=3, cart=1)


class Disk:
    """The disk of the broker of `home`: a small one of its own, where this user may mount.

    Elsewhere files can be kept from growing, which the broker cannot tell from a disk without room but by the words.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._place = home / "kafka" / "data"
        self._place.mkdir(parents=True)
        options = f"size={DISK_MB}m,mode=0777"
        self.is_mounted = _as_root("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self._place))
        self._ballast = self._place / "ballast"

    @property
    def full(self) -> str:
        """What the system says when there is no room."""
        return os.strerror(errno.ENOSPC if self.is_mounted else errno.EFBIG)

    def fill(self) -> None:
        """Until not a byte is left, whatever else is removed meanwhile."""
        if self.is_mounted:
            with self._ballast.open("ab", buffering=0) as ballast, suppress(OSError):
                while True:
                    ballast.write(bytes(4_096))
        else:
            broker = local.status(self.home)
            assert broker is not None
            largest_bytes = max(path.stat().st_size for path in self._place.rglob("*.log"))
            psutil.Process(broker.pid).rlimit(psutil.RLIMIT_FSIZE, (largest_bytes, -1))

    def free(self) -> None:
        """The limit ended with the process that had it."""
        if self.is_mounted:
            self._ballast.unlink()

    def close(self) -> None:
        if self.is_mounted:
            assert _as_root("umount", "--lazy", str(self._place))


def _as_root(*command: str) -> bool:
    """Whether root could; only root mounts."""
    with suppress(FileNotFoundError):  # no sudo
        done = subprocess.run([*(() if os.geteuid() == 0 else ("sudo", "-n")), *command], check=False)
        return done.returncode == 0
    return False


class Sender:
    """Sends carts one after the other, each until it is acknowledged, until `end`."""

    def __init__(self, shop: OpenShop) -> None:
        self.acknowledged: list[dict[str, Any]] = []
        self.refused = 0
        self._shop = shop
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        tracking = self._shop.spine.tracking
        while not self._stop.wait(0.02):
            events = [self._shop.cart(uuid4()) for _ in range(5)]
            while (status := tracking.publish(self._shop.key, events, BATCH).status_code) != 202:
                assert status == 503
                self.refused += 1
                if self._stop.wait(0.1):
                    return
            self.acknowledged += events


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made = Disk(tmp_path / "broker")
    yield made
    made.close()


@pytest.fixture
def spine(disk: Disk, tmp_path: Path) -> Iterator[Spine]:
    made = Spine(disk.home, tmp_path)
    try:
        made.worker()
        made.start_tracking(REQUEST_DEADLINE_S="2", RAW_TOPIC="false")
        made.mend(workers=1)
        yield made
    finally:
        made.close()


def test_nothing_acknowledged_is_lost_and_with_room_again_all_goes_on(
    disk: Disk, spine: Spine, relance: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    shop = spine.open(WINDOWS)
    log = Log(spine.kafka)
    sender = Sender(shop)
    wait_for(lambda: len(sender.acknowledged) > 200)
    disk.fill()
    until(lambda: sender.refused > 2, "senders are told to come back")
    until(lambda: local.status(spine.home) is None, "the broker, which has no other disk, ends")
    assert disk.full in broker_says(spine)
    until(lambda: not_ready(spine), "tracking says that it cannot do its work")
    assert httpx.get(f"{spine.tracking.metrics_url}/health/live").status_code == 200
    before = len(sender.acknowledged)
    time.sleep(1.0)
    disk.free()
    spine.mend(workers=1)
    until(lambda: len(sender.acknowledged) > before + 200, "it takes events again")
    sender.end()
    until(lambda: all(log.holds(sender.acknowledged)), "all that was acknowledged is in the log")
    log.close()
    until(lambda: drained(spine), "drained", 90)
    said, _ = spine.said()
    assert said == simulation(spine, relance, tmp_path / "log.jsonl", WINDOWS)
    fired = {signal.visitor for signal in said.values() if signal.kind == "abandoned"}
    assert {event["visitorid"] for event in sender.acknowledged} <= {str(visitor) for visitor in fired}


def broker_says(spine: Spine) -> str:
    folder = local.log_file(spine.home).parent
    return "".join(path.read_text(errors="replace") for path in folder.iterdir() if path.is_file())


def not_ready(spine: Spine) -> bool:
    answer = httpx.get(f"{spine.tracking.metrics_url}/health/ready")
    return answer.status_code == 503 and "kafka" in answer.json()["reasons"]
