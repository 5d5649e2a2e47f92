"""When the process of the raw topic is started again: less and less often while it ends, anew once it was steady."""

from typing import cast

import pytest

from services.tracking.topology.raw_keeper import RawKeeper
from services.tracking.topology.raw_process import RawProcess


class Process:
    """A process as the keeper sees it, which ends when the test says so."""

    def __init__(self) -> None:
        self.exit_code: int | None = None
        self.started = False
        self.refusal: OSError | None = None

    def start(self) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.started = True

    def stop(self, _timeout_s: float) -> bool:
        self.exit_code = 0
        return True


class Kept:
    """A keeper, its clock and its processes."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.refused = 0  # so many processes more cannot be started
        self.processes = [Process()]
        self.keeper = RawKeeper(cast("RawProcess", self.processes[0]), self._make, lambda: self.now_s)

    def _make(self) -> RawProcess:
        self.processes.append(Process())
        if self.refused:
            self.refused -= 1
            self.processes[-1].refusal = OSError("no memory")
        return cast("RawProcess", self.processes[-1])

    def end(self) -> float:
        """The process ends now; after how many seconds another is started."""
        began_s = self.now_s
        self.processes[-1].exit_code = 1
        while not self.keeper.look():
            assert self.keeper.trouble() is not None
            self.now_s += 0.5
        assert self.processes[-1].started
        return self.now_s - began_s


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_what_ends_again_and_again_is_tried_less_and_less_often(kept: Kept) -> None:
    assert [kept.end() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_what_ran_for_long_begins_anew(kept: Kept) -> None:
    assert [kept.end() for _ in range(3)] == [1, 2, 4]
    kept.now_s += 120
    assert kept.end() == 1


def test_while_it_runs_there_is_no_trouble(kept: Kept) -> None:
    assert kept.keeper.trouble() is None
    assert not kept.keeper.look()
    assert len(kept.processes) == 1


def test_after_the_stop_nothing_is_started(kept: Kept) -> None:
    assert kept.keeper.stop(1.0)
    kept.now_s += 1_000
    assert not kept.keeper.look()
    assert kept.keeper.trouble() is None
    assert len(kept.processes) == 1


def test_one_that_cannot_be_started_counts_as_one_that_ended(kept: Kept) -> None:
    kept.refused = 2
    assert kept.end() == 1 + 2 + 4
    assert kept.keeper.trouble() is None
    assert [process.started for process in kept.processes] == [False, False, False, True]
