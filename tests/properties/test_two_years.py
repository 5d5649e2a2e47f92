"""Two years of a shop in a minute: the orders of a year with all that befalls them, each until its guarantee is over,
the clock moved from Paris midnight to Paris midnight, against an oracle that knows nothing but the texts. No date is
missed, and no cent.
"""

import gc
import itertools
import os
import time
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Final

import pytest

from tests.properties.holding import holds
from tests.properties.lived import DAYS, FIRST, Clock
from tests.properties.two_years import Life
from tests.reference.days import begins
from tests.reference.plans import drawn

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]  # a minute of a core that may be shared

ORDERS: Final = int(os.environ.get("RELANCE_ORDERS", "10000"))
SEED: Final = int(os.environ.get("RELANCE_SEED", "1"))
MOST_S: Final = 60


def test_two_years_of_ten_thousand_orders() -> None:
    began, clock, counted = time.process_time(), Clock(), dict[str, int]()
    gc.disable()  # what lives here lives to the end
    try:
        lives = [Life(drawn(SEED, number, FIRST), clock, counted, holds) for number in range(ORDERS)]
        for month in range(1, DAYS // 30):
            noon = begins(FIRST + timedelta(days=30 * month)) + timedelta(hours=12)
            clock.call(noon, partial(all_hold, lives, quiet=month % 12 == 0))
        clock.run()
        clock.at = clock.until - timedelta(hours=12)
        all_hold(lives, quiet=True)
    finally:
        gc.enable()
    took_s = time.process_time() - began
    assert took_s < MOST_S, f"{clock.done} events in {took_s:.1f} s"
    numbers_have_no_gap(lives, counted)
    of_everything_some(lives)


def all_hold(lives: list[Life], *, quiet: bool) -> None:
    """Also of those to which nothing happens; of what is settled now and then."""
    for life in lives:
        if life.order.paid_at is not None and (quiet or not life.quiet):
            holds(life)


def numbers_have_no_gap(lives: list[Life], counted: dict[str, int]) -> None:
    """Each series counts from one, in the order of time."""
    issued = sorted((ref.number, ref.issued_on) for life in lives for ref in life.after.papers)
    names = [f"{series}-{place:06d}" for series in sorted(counted) for place in range(1, counted[series] + 1)]
    assert [number for number, _ in issued] == names
    for (number, on), (following, later) in itertools.pairwise(issued):
        assert number[:5] != following[:5] or on <= later


def of_everything_some(lives: list[Life]) -> None:
    """What a year of a shop brings did happen, so that what is checked is not checked of nothing."""
    found = Counter[str]()
    for life in lives:
        found[life.order.state] += 1
        found.update(due.regime for due in life.after.dues)
        found.update("late" for cost in life.cost.values() if cost)
        found.update(one.outcome for said in life.after.statements for one in said.decisions)
        found.update(claim.state for claim in life.after.claims)
        found.update(one.kind for one in life.after.incidents)
        found.update(one.for_ for due in life.after.dues for one in due.payouts)
        found.update("voucher" for due in life.after.dues if due.voucher)
        found.update("redirected" for one in life.order.refunds if one.means)
        found.update("pro rata" for due in life.after.dues if due.service_kept_minor)
        if life.contract is not None:
            found.update(f"valid {one.valid}" for one in life.contract.renewals)
            found.update("undelivered" for one in life.contract.announced if one.failed)
            found.update([life.contract.termination.effects] if life.contract.termination else [])
    wanted = {
        "delivered", "cancelled", "resolved", "withdrawal", "delivery", "guarantee", "renewal", "none", "late",
        "accepted", "excepted", "ancillary", "taken", "repaired", "replaced", "reduced", "refused", "opened", "lost",
        "damaged", "returned", "principal", "surcharge", "voucher", "redirected", "pro rata", "valid True",
        "valid False", "undelivered", "gone", "trial", "no_notice", "term_end", "next_term", "notice_days", "at_once",
    }  # fmt: skip
    missing = {name for name in wanted if not found[name]}
    assert ORDERS < 10_000 or not missing, missing
