"""How long a statement that matched no order is kept: it is personal data, and what may be asked of it ends."""

from datetime import datetime
from typing import Final

from relance.rules.law.calendar import after_months, first_instant_after, paris_date
from services.checkout.domain.aftercare import Stray

__all__ = ["forgotten_at"]

_MONTHS: Final = 60
"""Of any claim that rests on it: five years (Code civil 2224), from when it was made."""
_ANSWERED_MONTHS: Final = 12
"""Of one that the shop has answered: it is about nothing that was sold here."""


def forgotten_at(stray: Stray, seen_at: datetime) -> datetime:
    """When it is forgotten, as it stands: five years after it came; closed, a year after that was seen."""
    whole = first_instant_after(after_months(paris_date(stray.recorded_at), _MONTHS))
    if stray.state != "closed":
        return whole
    return min(whole, first_instant_after(after_months(paris_date(seen_at), _ANSWERED_MONTHS)))
