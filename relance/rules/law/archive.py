"""How long a contract concluded online is kept for the consumer (G09; articles L213-1, D213-1, D213-2)."""

from collections.abc import Sequence
from datetime import date

import msgspec

from relance.rules.law.calendar import after_months

__all__ = ["ArchiveTerms", "archive_until"]


class ArchiveTerms(msgspec.Struct, frozen=True):
    """From which sum on, and for how many years."""

    total_minor: int
    years: int


def archive_until(total_minor: int, concluded_on: date, deliveries: Sequence[date], law: ArchiveTerms) -> date | None:
    """The last day on which the contract must be there: ten years from conclusion, or from the last delivery if later.

    None below the threshold.
    """
    if total_minor < law.total_minor:
        return None
    return after_months(max([concluded_on, *deliveries]), 12 * law.years)
