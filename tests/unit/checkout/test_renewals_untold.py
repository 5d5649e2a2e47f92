"""A notice of renewal that came back after its consumer was held to the next term: what he notified stays confirmed."""

import msgspec

from services.checkout.domain.renewals import untold
from tests.unit.checkout.sold import at, cared
from tests.unit.checkout.test_renewals import left, on, renewed


def test_what_was_confirmed_of_it_stays_confirmed() -> None:
    _, of = renewed()
    held = left(of, "2027-03-04T10:00").contract
    assert held.termination is not None
    for at_first, known in ((at("2027-03-04T10:01"), at("2027-03-04T10:01")), (None, on("2027-03-10").at)):
        told = msgspec.structs.replace(held.termination, acknowledged_at=at_first)
        found = untold(msgspec.structs.replace(held, termination=told), cared(), "m1", on("2027-03-10"))
        assert found.contract.termination is not None
        assert found.contract.termination.free
        assert found.contract.termination.acknowledged_at == known
        assert found.confirmed == found.contract.termination
