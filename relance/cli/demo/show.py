"""The demo from beginning to end."""

import contextlib
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from random import SystemRandom
from types import FrameType
from typing import Any, Final

from rich.live import Live

from relance.cli.console import NOTES, OUT
from relance.cli.demo.chapter import Chapter
from relance.cli.demo.numbers import Numbers
from relance.cli.demo.screen import Glance, Line, glance, plain_line, screen, story_line, summary
from relance.cli.demo.senders import LOGS, Sender, log_events, shop_events
from relance.cli.demo.story import HEROINE, SCENES, signal_in_words
from relance.cli.demo.system import Gauges, System
from relance.cli.hearing import Hearing
from relance.cli.opening import open_shop
from relance.cli.playing import now_ms
from relance.cli.windows import load_file
from relance.events.signals import Signal
from relance.kernel.errors import NotNow
from relance.kernel.ids import visitor_uuid

__all__ = ["run"]

_ROOT: Final = Path(__file__).parents[3]
_WINDOWS: Final = _ROOT / "rules" / "windows" / "demo.yaml"
_DATA: Final = _ROOT.parent / "shared" / "data"
_SHOP: Final = "demo"
_LEAD_MS: Final = 300
_LOOK_S: Final = 0.25
_PLAIN_S: Final = 5.0
_CHAPTER_AT: Final = 2 / 3  # of the time: her first visit is told by then


def run(seconds: float, rate: float, seed: int | None, *, keep: bool, plain: bool) -> int:
    """Everything; returns the exit code. Ends all that it started, also when interrupted or terminated."""
    with _interruptible():
        system = System(_tell)
        try:
            system.start()
            _Show(system, seconds, SystemRandom().randrange(10**6) if seed is None else seed).play(rate, plain=plain)
        except BaseException as error:
            _end(system, with_logs=isinstance(error, Exception))
            raise
        if keep:
            NOTES.print("everything still runs; to look around, and to end it:")
            for line in system.kept():
                OUT.print(f"  {line}", markup=False)
        else:
            _end(system, with_logs=False)
    return 0


def _end(system: System, *, with_logs: bool) -> None:
    """Nothing that was started outlives this; the logs do, where somebody should look at them."""
    _tell("ending")
    with _uninterruptible():
        system.stop(with_logs=with_logs)
    if with_logs:
        NOTES.print(f"logs: {system.home}", markup=False)


class _Show:
    """The shop is open."""

    def __init__(self, system: System, seconds: float, seed: int) -> None:
        self._system = system
        self._seconds = seconds
        self._seed = seed
        self._definitions = load_file(_WINDOWS)
        self._numbers = Numbers()
        self._heroine = visitor_uuid(_SHOP, HEROINE)
        self._story: list[Line] = []
        self._told_scenes = 0
        self._telling = threading.Lock()
        self._start_ms = 0
        logs = [(shop, _DATA / file, log_format) for shop, file, log_format in LOGS]
        self._logs = [log for log in logs if log[1].is_file()]
        shops = {_SHOP, *(shop for shop, _, _ in self._logs)}
        self._hearing = Hearing(system.kafka, shops, self._heard)
        self._gauges = Gauges(system.session_metrics, self._gauged)
        self._senders: list[Sender] = []
        self._chapter: Chapter | None = None

    def play(self, rate: float, *, plain: bool) -> None:
        """Open, show, close, sum up. Raises NotNow when a part fails or no signal was seen."""
        keys = self._open()
        stage = self._system.open_front(keys[_SHOP])
        self._chapter = Chapter(stage, self._system.kafka, self._ordering)
        self._hearing.start()
        self._gauges.start()
        self._start_ms = now_ms() + _LEAD_MS
        self._send(keys, rate)
        try:
            self._show(OUT.is_terminal and not plain)
        finally:
            for sender in self._senders:
                sender.close()
            self._gauges.close()
            self._hearing.close()
            self._sum_up()
        if not self._numbers.signals.total():
            raise NotNow("no signal was seen")

    def _open(self) -> dict[str, str]:
        """Secret key by shop, once all parts know all shops."""
        _tell(f"opening the shop {_SHOP}: {len(self._definitions.windows)} windows, seed {self._seed}")
        kafka, url = self._system.kafka, self._system.tracking
        keys = {_SHOP: open_shop(kafka, url, _SHOP, self._definitions)}
        for shop, path, _ in self._logs:
            _tell(f"opening the shop {shop}: the real log {path.name}, so fast that it fits")
            keys[shop] = open_shop(kafka, url, shop, self._definitions)
        return keys

    def _send(self, keys: dict[str, str], rate: float) -> None:
        events = shop_events(_SHOP, self._seed, rate, self._seconds, self._start_ms, self._numbers)
        url = self._system.tracking
        self._senders.append(Sender(url, keys[_SHOP], events, self._numbers))
        for shop, path, log_format in self._logs:
            events = log_events(path, log_format, shop, self._seconds, self._start_ms, self._numbers)
            self._senders.append(Sender(url, keys[shop], events, self._numbers))
        for sender in self._senders:
            sender.start()

    def _show(self, on_screen: bool) -> None:
        if not on_screen:
            self._show_lines()
            return
        rates: deque[float] = deque(maxlen=100)
        with Live(console=OUT, screen=True, auto_refresh=False) as live:
            for look in self._looks():
                rates.append(look.rate)
                live.update(screen(look, rates, self._story, self._definitions, OUT.height), refresh=True)
        self._print_story(0)

    def _show_lines(self) -> None:
        told_s, told_lines = 0.0, 0
        for look in self._looks():
            told_lines = self._print_story(told_lines)
            if look.at_s >= told_s + _PLAIN_S:
                told_s = look.at_s
                OUT.print(plain_line(look), markup=False)

    def _print_story(self, begin: int) -> int:
        """Print the lines from `begin` on; returns where the next will begin."""
        lines = self._story[begin:]
        for line in lines:
            OUT.print(story_line(line))
        return begin + len(lines)

    def _looks(self) -> Iterator[Glance]:
        """A glance every moment until time is up, and one after it. Raises when a part has failed."""
        is_over = False
        while not is_over:
            at_s = (now_ms() - self._start_ms) / 1_000
            is_over = at_s >= self._seconds and self._chapter_has_ended()  # before what it told last, or failed with
            self._system.watch()
            self._order(at_s)
            self._hearing.check()
            for sender in self._senders:
                if sender.failure is not None:
                    raise sender.failure
            self._tell_scenes(at_s)
            yield glance(self._numbers, min(max(at_s, 0.0), self._seconds), self._seconds, now_ms())
            time.sleep(_LOOK_S)

    def _order(self, at_s: float) -> None:
        """The chapter of the order, when its time has come. Raises what ended it too early."""
        if self._chapter is not None and at_s >= self._seconds * _CHAPTER_AT:
            self._chapter.begin()
            self._chapter.check()

    def _chapter_has_ended(self) -> bool:
        return self._chapter is None or self._chapter.has_ended

    def _ordering(self, words: str, from_relance: bool) -> None:
        at_s = (now_ms() - self._start_ms) / 1_000
        self._tell_scenes(at_s, Line(at_s, from_relance=from_relance, words=words))

    def _tell_scenes(self, at_s: float, *further: Line) -> None:
        """What she has done by now, then what else is to be told: in the order of time, whichever thread tells."""
        with self._telling:
            for scene in SCENES[self._told_scenes :]:
                if scene.at_ms > at_s * 1_000:
                    break
                self._told_scenes += 1
                self._story.append(Line(scene.at_ms / 1_000, from_relance=False, words=scene.words))
            self._story += further

    def _heard(self, signal_: Signal, heard_ms: int) -> None:
        delay_ms = self._numbers.heard(signal_, heard_ms)
        if signal_.visitor == self._heroine:
            words = signal_in_words(signal_, self._definitions, delay_ms)
            at_s = (heard_ms - self._start_ms) / 1_000
            self._tell_scenes(at_s, Line(at_s, from_relance=True, words=words))

    def _gauged(self, open_sessions: int, lag_records: int) -> None:
        self._numbers.open_sessions = open_sessions
        self._numbers.lag_records = lag_records

    def _sum_up(self) -> None:
        at_s = min(max((now_ms() - self._start_ms) / 1_000, 0.0), self._seconds)
        numbers = self._numbers
        OUT.print()
        OUT.print(summary(glance(numbers, at_s, self._seconds, now_ms()), numbers.delays.all_ms, self._definitions))
        if numbers.rejected:
            OUT.print(f"[red]{numbers.rejected:,} events were rejected[/]")
        self._sum_up_order()
        behind_ms = max((sender.pace.behind_ms for sender in self._senders), default=0)
        if behind_ms > 1_000:
            OUT.print(f"This machine is busy: sending fell up to {behind_ms / 1_000:.1f} s behind.")
        for name in self._system.restarted:
            OUT.print(f"[yellow]{name} had ended and was started again[/]")

    def _sum_up_order(self) -> None:
        told = self._chapter.told if self._chapter is not None else None
        if told is None:
            return
        OUT.print(
            f"Order {told.order_id}: concluded, paid and confirmed; {told.mails} letters in her mailbox. Her failed "
            f"payment could be read {max(told.seen_ms, 0)} ms after she turned back."
        )
        OUT.print(f"She withdrew from a part of it, and got {told.refunded_minor / 100:.2f} EUR back.")
        OUT.print(f"With --keep: relance law explain {told.order_id}; relance evidence show {told.order_id}")


def _tell(words: str) -> None:
    NOTES.print(f"[bright_black]{time.strftime('%H:%M:%S')}[/]  {words}")


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM, and the terminal's going away, end the demo as ctrl-C does: in order."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handling({signal.SIGTERM: interrupt, signal.SIGHUP: interrupt}):
        yield


@contextlib.contextmanager
def _uninterruptible() -> Iterator[None]:
    """Ending is not interrupted: a process left behind would be worse than a second of waiting."""
    with _handling(dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_IGN)):
        yield


@contextlib.contextmanager
def _handling(handlers: dict[signal.Signals, Any]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
