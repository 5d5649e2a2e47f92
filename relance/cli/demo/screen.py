"""The demo's screen and its summary: numbers and words in, something to look at out."""

from collections import Counter, deque
from collections.abc import Sequence
from typing import Final

import msgspec
from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from relance.cli.demo.numbers import Numbers, percentile
from relance.cli.demo.story import HEROINE, meaning
from relance.rules.windows import Definitions

__all__ = ["Glance", "Line", "glance", "plain_line", "screen", "story_line", "summary"]

_BARS: Final = "▁▂▃▄▅▆▇█"
_HISTORY: Final = 22
_FLOW_COLUMNS: Final = 26
_CONCLUSIONS: Final = (
    ("converted", "ordered; what had fired is credited"),
    ("retracted", "taken back: ordered before the deadline"),
    ("ended", "the session is over"),
)


class Line(msgspec.Struct, frozen=True):
    """One line of the story; `from_relance` tells who speaks."""

    at_s: float
    from_relance: bool
    words: str


class Glance(msgspec.Struct, frozen=True):
    """All that one look shows."""

    at_s: float
    of_s: float
    rate: float
    events: int
    visitors: int
    open_sessions: int
    lag_records: int
    signals: Counter[tuple[str, str]]
    signal_rates: dict[tuple[str, str], float]
    p50_ms: int | None
    p99_ms: int | None


def glance(numbers: Numbers, at_s: float, of_s: float, now_ms: int) -> Glance:
    """The numbers at this moment."""
    rate, recent, seconds, delays = numbers.look(now_ms)
    return Glance(
        at_s=at_s,
        of_s=of_s,
        rate=rate,
        events=numbers.accepted,
        visitors=len(numbers.visitors),
        open_sessions=numbers.open_sessions,
        lag_records=numbers.lag_records,
        signals=numbers.signals.copy(),
        signal_rates={place: count / seconds for place, count in recent.items()},
        p50_ms=percentile(delays, 0.5),
        p99_ms=percentile(delays, 0.99),
    )


def screen(look: Glance, rates: deque[float], story: Sequence[Line], definitions: Definitions, rows: int) -> Layout:
    """The whole screen, of so many rows; of the story what there is room for."""
    whole = Layout()
    height = len(definitions.windows) + len(_CONCLUSIONS) + 3
    middle = Layout(size=height)
    middle.split_row(
        Layout(Panel(_flow(look, rates), title="flow", title_align="left", border_style="cyan"), size=_FLOW_COLUMNS),
        Layout(
            Panel(
                _windows(look, definitions), title="what Relance notices", title_align="left", border_style="magenta"
            ),
        ),
    )
    told = Panel(
        Group(*(story_line(line) for line in story[-max(rows - height - 3, 1) :])),
        title=f"one shopper: {HEROINE}",
        title_align="left",
        border_style="green",
    )
    whole.split_column(Layout(_head(look), size=1), middle, Layout(told))
    return whole


def story_line(line: Line) -> Text:
    """Who, when, what."""
    speaker = ("Relance  ", "bold magenta") if line.from_relance else (f"{HEROINE}  ", "green")
    when = (f"{line.at_s:6.1f} s  ", "bright_black")
    return Text.assemble(when, speaker, line.words, no_wrap=True, overflow="ellipsis")


def plain_line(look: Glance) -> str:
    """The same for a log: one line."""
    return (
        f"{look.at_s:4.0f} s  {look.rate:6,.0f} events/s  {look.open_sessions:5,} sessions open  "
        f"{look.signals.total():6,} signals  due to readable p50 {_ms(look.p50_ms)}, p99 {_ms(look.p99_ms)}  "
        f"lag {look.lag_records}"
    )


def summary(look: Glance, delays_ms: Sequence[int], definitions: Definitions) -> RenderableType:
    """What there was, at the end. `delays_ms`: all from due to readable."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("signal")
    table.add_column("window")
    table.add_column("when")
    table.add_column("count", justify="right")
    for window in definitions.windows:
        table.add_row("abandoned", window.id, meaning(window), f"{look.signals['abandoned', window.id]:,}")
    for kind, words in _CONCLUSIONS:
        table.add_row(kind, "", words, f"{_of_kind(look.signals, kind):,}")
    p50, p99 = percentile(delays_ms, 0.5), percentile(delays_ms, 0.99)
    slowest = max(delays_ms, default=None)
    return Group(
        table,
        Text(
            f"\n{look.events:,} events of {look.visitors:,} visitors in {look.at_s:.0f} s "
            f"({look.events / max(look.at_s, 1):,.0f} a second), each acknowledged by Kafka; "
            f"{look.signals.total():,} signals."
        ),
        Text(
            f"From due (deadline + grace) to readable in Kafka: p50 {_ms(p50)}, p99 {_ms(p99)}, slowest {_ms(slowest)}."
        ),
        Text("Only shoppers were simulated, and windows short. For your own events: relance up, shop create, replay."),
    )


def _head(look: Glance) -> RenderableType:
    done = min(look.at_s / look.of_s, 1.0)
    head = Table.grid(expand=True)
    head.add_column()
    head.add_column(justify="right")
    bar = "━" * round(done * 20)
    head.add_row(
        Text.assemble((" Relance", "bold"), " · a simulated shop on a real Kafka"),
        Text.assemble(
            (bar, "cyan"), ("━" * (20 - len(bar)), "bright_black"), f" {look.at_s:2.0f} of {look.of_s:.0f} s "
        ),
    )
    return head


def _flow(look: Glance, rates: deque[float]) -> RenderableType:
    counts = _pairs(
        ("events", f"{look.events:,}"),
        ("visitors", f"{look.visitors:,}"),
        ("sessions open", f"{look.open_sessions:,}"),
        ("signals", f"{look.signals.total():,}"),
        ("records behind", f"{look.lag_records:,}"),
    )
    delays = _pairs(("  half within", _ms(look.p50_ms)), ("  99 % within", _ms(look.p99_ms)))
    return Group(
        _pairs(("events/s", f"{look.rate:,.0f}")),
        Text(_sparkline(rates), style="cyan"),
        counts,
        Text("\ndue to readable signal", style="bright_black"),
        delays,
    )


def _pairs(*rows: tuple[str, str]) -> Table:
    """Words on the left, numbers on the right."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column(justify="right", no_wrap=True, style="bold")
    for row in rows:
        table.add_row(*row)
    return table


def _windows(look: Glance, definitions: Definitions) -> RenderableType:
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(style="bright_black", no_wrap=True, ratio=1)
    table.add_column(justify="right")
    table.add_column(justify="right", style="bright_black")
    table.add_row(*(Text(words, style="bright_black") for words in ("abandoned: window", "fires", "so far", "per s")))
    for window in definitions.windows:
        place = ("abandoned", window.id)
        table.add_row(Text(window.id, style="magenta"), meaning(window), f"{look.signals[place]:,}", _rate(look, place))
    for kind, words in _CONCLUSIONS:
        rate = sum(rate for (one, _), rate in look.signal_rates.items() if one == kind)
        count = _of_kind(look.signals, kind)
        table.add_row(Text(kind, style="green"), words, f"{count:,}", f"{rate:.1f}" if rate else "")
    return table


def _sparkline(rates: deque[float]) -> str:
    recent = list(rates)[-_HISTORY:]
    top = max(recent, default=0) or 1
    return "".join(_BARS[min(7, int(rate / top * 7.999))] for rate in recent)


def _rate(look: Glance, place: tuple[str, str]) -> str:
    rate = look.signal_rates.get(place, 0)
    return f"{rate:.1f}" if rate else ""


def _of_kind(signals: Counter[tuple[str, str]], kind: str) -> int:
    return sum(count for (one, _), count in signals.items() if one == kind)


def _ms(milliseconds: int | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:,} ms"
