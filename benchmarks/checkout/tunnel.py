"""Whole tunnels at 25 a second: what each page takes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.checkout.till import Broker, till
from benchmarks.report import Measure

__all__ = ["tunnel"]

_RATE: Final = 25.0  # a second
_PAGE_LIMIT_MS: Final = 100.0


def tunnel(broker: Broker, directory: Path, *, seconds: float, told: Callable[[str], None]) -> list[Measure]:
    """Shoppers who come at an even rate and go through all pages without a pause."""
    with till(broker, directory, told) as opened:
        told(f"tunnel: {_RATE:g} shoppers a second for {seconds:.0f} s")
        found = opened.load("benchmarks.checkout.tunnels", "--rate", str(_RATE), "--seconds", str(seconds))
    if not found["finished"]:
        raise RuntimeError(f"no tunnel was finished: {found['errors']}")
    return _measures(found, seconds)


def _measures(found: dict[str, Any], seconds: float) -> list[Measure]:
    pages = found["all"]
    wrong = "".join(f"; {count} x {reason}" for reason, count in found["errors"].items()) or "; no error"
    cost = f"{found['cpu_s'] / found['finished'] * 1_000:.0f} ms of CPU each, printing {found['printing_s']:.1f} s"
    worst = max(found["pages"].values(), key=lambda one: one["p99"])
    return [
        Measure(
            name="tunnels finished, one core", value=round(found["in_time"] / seconds, 1), unit="tunnels/s",
            target=_RATE * 0.99,
            note=f"{found['finished']} of {found['offered']} in {found['seconds']:.1f} s; {cost} beside; generator "
            f"{found['generator_cpu_s']:.1f} s, late {found['late_s'] * 1_000:.0f} ms at most{wrong}",
        ),
        Measure(
            name="tunnel, slowest page, p99", value=worst["p99"], unit="ms", target=_PAGE_LIMIT_MS, at_least=False,
            note=f"all pages: p50 {pages['p50']} ms, p99 {pages['p99']} ms, longest {pages['max']} ms",
        ),
        *(
            Measure(
                name=f"tunnel, {name}, p99", value=page["p99"], unit="ms", target=_PAGE_LIMIT_MS, at_least=False,
                note=f"p50 {page['p50']} ms, longest {page['max']} ms",
            )
            for name, page in found["pages"].items()
        ),
    ]  # fmt: skip
