"""What is true of every order, whatever happened to it."""

from services.checkout.domain.orders import ENDED, Order, Parcel, on_its_way
from services.checkout.domain.tenders import BY_PROVIDER

__all__ = ["counted_once", "goes_on_with_its_money", "lost"]


def counted_once(order: Order) -> None:
    """No unit is counted twice, and none is shipped anew but after an incident."""
    for line in order.lines:
        assert 0 <= line.withdrawn + line.ended <= line.quantity
        assert 0 <= line.received <= line.shipped <= line.quantity
        assert line.shipped == sum(one.units.get(line.id, 0) for one in order.parcels if on_its_way(one))


def goes_on_with_its_money(order: Order) -> None:
    """Tenders are what the state of the order needs them to be."""
    states = {one.state for one in order.tenders}
    if order.state in {"confirmed", "preparing"}:
        assert states <= {"secured", "taken", "awaited"}
        assert "awaited" not in states or order.awaited_until is not None
    if order.state in {"shipped", "delivered", "closed"}:
        assert states <= {"taken"}
    if order.state in ENDED:
        assert states <= {"released", "secured", "taken"}
    by_id = {attempt.id: attempt.state for attempt in order.attempts}
    for one in order.tenders if order.state not in ENDED else ():
        if one.kind in BY_PROVIDER and one.state in {"secured", "taken"}:
            assert by_id[one.ref] == ("captured" if one.state == "taken" else "authorised")
    if order.state == "lapsed":
        assert not any(attempt.open_at_psp for attempt in order.attempts), "lapsed without the provider's proof"


def lost(parcel: Parcel) -> bool:
    """Whether its units are to be sent anew, as far as there are any."""
    return not on_its_way(parcel)
