"""What units of a line cost by now: their part of the line's price, less what reductions took off it."""

from fractions import Fraction

from relance.rules.law.totals import half_up, unit_refund
from services.checkout.domain.aftercare import Aftercare
from services.checkout.domain.orders import OrderLine

__all__ = ["price_minor"]


def price_minor(line: OrderLine, after: Aftercare, gone: int, units: int) -> int:
    """What the next `units` of a line give back, in cents, when money was owed for `gone` before: only sums that are
    still paid (L221-24 al. 1). Units whose price was reduced go last, as it is not known which are meant; all that is
    owed for a line is never more than the line.
    """
    price = unit_refund(line.net_minor, line.quantity, gone, units)
    off = _off_minor(line, after, gone + units) - _off_minor(line, after, gone)
    given = sum(due.lines_minor.get(line.id, 0) for due in after.dues)
    return max(0, min(price - off, line.net_minor - given))


def _off_minor(line: OrderLine, after: Aftercare, units: int) -> int:
    """What reductions took off the first `units` that go back."""
    reduced = {f"claim/{claim.id}" for claim in after.claims if claim.state == "reduced"}
    dues = [due for due in after.dues if due.source in reduced and line.id in due.lines_minor]
    cheaper = min(line.quantity, sum(due.units.get(line.id, 0) for due in dues))
    of_them = units - (line.quantity - cheaper)
    if of_them <= 0:
        return 0
    return half_up(Fraction(sum(due.lines_minor[line.id] for due in dues) * of_them, cheaper))
