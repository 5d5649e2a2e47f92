"""How long a contract concluded online is kept for the consumer (G09; articles L213-1, D213-1, D213-2), and an invoice
for the accounts (G10; L123-22 of the commercial code).
"""

from calendar import monthrange
from collections.abc import Sequence
from datetime import date

import msgspec

from relance.rules.law.calendar import after_months

__all__ = ["AccountingTerms", "ArchiveTerms", "accounts_until", "archive_until"]


class ArchiveTerms(msgspec.Struct, frozen=True):
    """From which sum on, and for how many years."""

    total_minor: int
    years: int


class AccountingTerms(msgspec.Struct, frozen=True):
    """For how many years after the close."""

    years: int


def accounts_until(issued_on: date, year_ends_in: int, law: AccountingTerms) -> date:
    """The last day on which an invoice or a credit note must be there. `year_ends_in`: the month, from 1, with whose
    last day the accounting year closes.
    """
    year = issued_on.year + (issued_on.month > year_ends_in) + law.years
    return date(year, year_ends_in, monthrange(year, year_ends_in)[1])


def archive_until(total_minor: int, concluded_on: date, deliveries: Sequence[date], law: ArchiveTerms) -> date | None:
    """The last day on which the contract must be there: ten years from conclusion, or from the last delivery if later.

    None below the threshold.
    """
    if total_minor < law.total_minor:
        return None
    return after_months(max([concluded_on, *deliveries]), 12 * law.years)
