"""A parcel of which no units are named holds all that is still to leave, and nothing that never will."""

from msgspec.structs import replace

from services.checkout.api.reading import read_units
from tests.unit.checkout.sold import line, ordered


def test_units_that_left_were_withdrawn_or_ended_are_in_no_further_parcel() -> None:
    lamps = line(quantity=9, shipped=1, withdrawn=2, ended=4)
    order = ordered(lamps)
    assert read_units({}, replace(order, lines=(lamps,))) == {lamps.id: 2}
    assert read_units({}, replace(order, lines=(replace(lamps, ended=6),))) == {}
