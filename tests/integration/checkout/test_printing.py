"""The printing process: what hangs is killed and replaced, what died is started anew, and orders wait for neither."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from relance.kernel.errors import NotNow
from relance.rules.law.book import RULES
from services.checkout.adapters.printing import Printing
from tests.unit.checkout.documents.lumen import LAMP, facts

ROOT = Path(__file__).parents[3]
LIMIT_S = 12.0  # a machine that runs all tests is busy


@pytest.fixture
def printing() -> Iterator[Printing]:
    made = Printing(RULES, limit_s=LIMIT_S)
    yield made
    made.close()


def children() -> list[psutil.Process]:
    """The printing processes of this one. What other tests of this process have not waited for is none."""
    alive = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in alive if "multiprocessing.spawn" in " ".join(one.cmdline())]


def child() -> psutil.Process:
    """The only one."""
    (only,) = children()
    return only


def within(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_a_process_that_is_stopped_is_killed_and_the_next_confirmation_is_printed(printing: Printing) -> None:
    first = await printing.confirmation(facts(LAMP))
    hung = child()
    os.kill(hung.pid, signal.SIGSTOP)
    began_s = time.monotonic()
    with pytest.raises(NotNow, match="too long"):
        await printing.confirmation(facts(LAMP))
    assert LIMIT_S <= time.monotonic() - began_s < LIMIT_S + 3
    assert not hung.is_running()
    assert await printing.confirmation(facts(LAMP)) == first
    assert child().pid != hung.pid


async def test_a_process_that_died_is_started_anew(printing: Printing) -> None:
    await printing.confirmation(facts(LAMP))
    asked = asyncio.create_task(printing.confirmation(facts(LAMP)))
    await asyncio.sleep(0)
    os.kill(child().pid, signal.SIGKILL)
    with pytest.raises(NotNow, match="has ended"):
        await asked
    assert not isinstance(await printing.confirmation(facts(LAMP)), tuple)


async def test_it_yields_to_the_pages(printing: Printing) -> None:
    await printing.confirmation(facts(LAMP))
    assert child().nice() >= psutil.Process().nice() + 10


async def test_rules_that_cannot_be_read_end_it_and_say_so(tmp_path: Path) -> None:
    made = Printing(tmp_path, limit_s=LIMIT_S)
    try:
        with pytest.raises(NotNow):
            await made.confirmation(facts(LAMP))
    finally:
        made.close()


async def test_an_end_leaves_no_process_behind() -> None:
    made = Printing(RULES)
    made.begin()
    made.close()
    assert children() == []


_SERVICE = """
import subprocess, sys, time
from relance.rules.law.book import RULES
from services.checkout.adapters.printing import Printing
if __name__ == "__main__":
    printing = Printing(RULES)
    printing.begin()
    while printing._process is None:
        time.sleep(0.05)
    way = printing._process._way.fileno()
    other = subprocess.Popen(["sleep", "60"], pass_fds=[way])  # as whatever inherits it
    print(printing._process._process.pid, other.pid, flush=True)
    time.sleep(60)
"""


async def test_whatever_ends_it_nothing_is_left_of_what_it_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = Printing(RULES, limit_s=LIMIT_S)
    try:
        await made.confirmation(facts(LAMP))
        (folder,) = within(tmp_path)
        assert any(one.name.startswith("weasyprint-") for one in within(folder)), "as the library names its own"
        os.kill(child().pid, signal.SIGKILL)
        with pytest.raises(NotNow):
            await made.confirmation(facts(LAMP))
        assert within(tmp_path) == []
        await made.confirmation(facts(LAMP))
        made._limit_s = 0.001  # less than any document takes
        with pytest.raises(NotNow, match="too long"):
            await made.confirmation(facts(LAMP))
        assert within(tmp_path) == []
        made.begin()
    finally:
        made.close()
    assert within(tmp_path) == []


def test_a_kill_of_the_service_ends_it_although_the_way_is_still_held(tmp_path: Path) -> None:
    script, folder = tmp_path / "service.py", tmp_path / "folder"
    script.write_text(_SERVICE)
    folder.mkdir()
    environ = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    service = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environ)
    assert service.stdout is not None
    printing, holder = (psutil.Process(int(pid)) for pid in service.stdout.readline().split())
    try:
        service.kill()
        service.wait()
        printing.wait(60.0)  # what it loads comes first
    finally:
        holder.kill()
        service.stdout.close()
    assert not printing.is_running()
    assert list(folder.iterdir()) == [], "nor what it had in its folder"
