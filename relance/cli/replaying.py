"""One replay under way: events out, signals in, a summary at the end, also when it is interrupted."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from relance.cli.console import NOTES, OUT
from relance.cli.hearing import Hearing
from relance.cli.playing import Pace, Poster, now_ms, play
from relance.cli.retiming import Retiming, Rewriting
from relance.events.catalog import EVENT_TYPES
from relance.events.signals import Signal
from relance.kernel.ids import visitor_uuid
from relance.kernel.instants import parse_ms
from relance.rules.windows import Definitions

__all__ = ["Run"]

_LEAD_MS: Final = 200  # from the decision when to begin to the first event
_LATE_S: Final = 10.0  # how much longer than the longest window its signal is waited for
_PLAIN_S: Final = 10.0  # between lines where there is no terminal
_QUIET: Final = frozenset(event_type.name for event_type in EVENT_TYPES if event_type.quiet)


class Run:
    """One replay: what went out, what came back."""

    def __init__(self, kafka: str, tracking: str, shop: str, key: str, definitions: Definitions) -> None:
        self.accepted = 0
        self.rejected = 0
        self._first_rejected = ""
        self._shop = shop
        self._definitions = definitions
        self._stop = threading.Event()
        self._poster = Poster(tracking, key, stop=self._stop)
        self._pace = Pace()
        self._visitors = _Visitors(shop)
        self._hearing = Hearing(kafka, {shop}, self._visitors.heard)

    def play(self, events: list[dict[str, Any]], speed: float, *, wait: bool) -> None:
        """Send, wait, tell. What ctrl-C interrupts is told too."""
        self._hearing.start()
        first_ms, last_ms = (parse_ms(events[place]["time"]) for place in (0, -1))
        began_s = time.monotonic()
        try:
            retiming = Retiming(first_ms, now_ms() + _LEAD_MS, speed)
            span_s = (retiming.at(last_ms) - retiming.start_ms) / 1_000
            NOTES.print(f"{len(events)} events into the shop {self._shop}, {_seconds(span_s)} at speed {speed:g}")
            with _progress("sending", len(events), self._hearing.total) as advance:
                timed = self._timed(events, Rewriting(self._shop, retiming))
                play(timed, lambda batch: advance(self._post(batch)), self._pace, self._stop)
            if wait:
                self._wait(max(retiming.at(last_ms), now_ms()))
        finally:
            self._stop.set()
            self._hearing.close()
            self._poster.close()
            self._tell(time.monotonic() - began_s)

    def _timed(self, events: list[dict[str, Any]], rewriting: Rewriting) -> Iterator[tuple[int, bytes]]:
        encode = msgspec.json.Encoder().encode
        for event in events:
            time_ms, moved = rewriting(event)
            self._visitors.sent(moved, time_ms)
            yield time_ms, encode(moved)

    def _post(self, batch: list[bytes]) -> int:
        answer = self._poster.post(batch)
        self.accepted += answer.accepted
        self.rejected += len(answer.rejected)
        if answer.rejected and not self._first_rejected:
            one = answer.rejected[0]
            self._first_rejected = f"{one.id or 'no id'}: {one.reason}"
        return len(batch)

    def _wait(self, last_ms: int) -> None:
        """Until every session has ended, at most until the longest window could have fired."""
        longest = max([self._definitions.session_gap, *(window.inactivity for window in self._definitions.windows)])
        end_s = last_ms / 1_000 + (longest + self._definitions.grace).total_seconds()
        left_s = end_s - now_ms() / 1_000
        if left_s > 60:
            NOTES.print(f"the last window could fire in {_seconds(left_s)}; ctrl-C ends waiting")
        with _progress("sessions ended", len(self._visitors), self._hearing.total) as advance:
            before = 0
            while (ended := self._visitors.ended()) < len(self._visitors) and now_ms() / 1_000 < end_s + _LATE_S:
                self._hearing.check()
                advance(ended - before)
                before = ended
                time.sleep(0.1)
            advance(ended - before)

    def _tell(self, took_s: float) -> None:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("signal")
        table.add_column("window")
        table.add_column("count", justify="right")
        for (kind, window), count in sorted(self._hearing.counts.items()):
            table.add_row(kind, window or "-", str(count))
        table.add_row("all", "", str(self._hearing.total()), style="bold")
        OUT.print(table)
        held = f", told to wait {self._poster.held_back} times" if self._poster.held_back else ""
        NOTES.print(
            f"{self.accepted} events of {len(self._visitors)} visitors accepted, {self.rejected} rejected{held}, in "
            f"{_seconds(took_s)}; shop {self._shop}"
        )
        if self._first_rejected:
            NOTES.print(f"the first rejected: {self._first_rejected}", markup=False)
        grace_ms = self._definitions.grace.total_seconds() * 1_000
        if self._pace.behind_ms > max(grace_ms, 1_000):
            NOTES.print(
                f"[yellow]sending fell {_seconds(self._pace.behind_ms / 1_000)} behind the log[/]: windows may have "
                "fired early, and what came later than the allowed lateness was not applied; choose a lower --speed"
            )


class _Visitors:
    """When each visitor was last active, by what was sent, and whose session has ended since."""

    def __init__(self, shop: str) -> None:
        self._shop = shop
        self._last: dict[bytes, int] = {}
        self._ended: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._last)

    def sent(self, event: dict[str, Any], time_ms: int) -> None:
        """An event goes out."""
        visitor = event.get("visitorid")
        if visitor and event.get("type") not in _QUIET:
            self._last[visitor_uuid(self._shop, str(visitor)).bytes] = time_ms

    def heard(self, signal: Signal, _heard_ms: int) -> None:
        """A signal came in."""
        if signal.kind == "ended":
            visitor = signal.visitor.bytes
            self._ended[visitor] = max(parse_ms(signal.last_activity), self._ended.get(visitor, 0))

    def ended(self) -> int:
        """How many will say no more."""
        return sum(self._last.get(visitor, 0) <= last_ms for visitor, last_ms in self._ended.copy().items())


class _Signals(ProgressColumn):
    """How many signals were heard, also while nothing is sent."""

    def __init__(self, count: Callable[[], int]) -> None:
        super().__init__()
        self._count = count

    @override
    def render(self, task: Task) -> Text:
        return Text(f"{self._count()} signals")


@contextlib.contextmanager
def _progress(what: str, total: int, signals: Callable[[], int]) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, a line now and then elsewhere; gives the function that moves it."""
    if not NOTES.is_terminal:
        yield _plain_progress(what, total, signals)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), _Signals(signals),
    )  # fmt: skip
    with Progress(*columns, console=NOTES, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)


def _plain_progress(what: str, total: int, signals: Callable[[], int]) -> Callable[[int], None]:
    done = 0
    told_s = time.monotonic()

    def advance(count: int) -> None:
        nonlocal done, told_s
        done += count
        if time.monotonic() - told_s >= _PLAIN_S:
            told_s = time.monotonic()
            NOTES.print(f"{what}: {done} of {total}, {signals()} signals")

    return advance


def _seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
