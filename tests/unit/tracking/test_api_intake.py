import random

import pytest

from relance.events.faults import Problem
from services.tracking.api.intake import _merged
from services.tracking.domain.columnar import Refusal


def test_refusals_come_back_at_their_places_in_what_was_sent(chaos_seed: int) -> None:
    draw = random.Random(chaos_seed)
    for count in (1, 2, 3, 10, 200):
        why = {place: draw.choice(["taken", "aside", "refused"]) for place in range(count)}
        aside = {place: Problem("", str(place)) for place, what in why.items() if what == "aside"}
        passed = [place for place in why if place not in aside]
        places = [(at, place) for at, place in enumerate(passed) if why[place] == "refused"]
        refused = [Refusal(at, (Problem("", str(place)),)) for at, place in places]
        draw.shuffle(refused)
        merged = _merged(refused, aside, count)
        if aside:
            assert [one.index for one in merged] == [place for place in why if why[place] != "taken"]
        assert sorted(int(one.problems[0].reason) for one in merged) == [p for p in why if why[p] != "taken"]


@pytest.mark.timeout(30)
def test_the_cost_grows_with_the_events_and_not_with_their_square() -> None:
    count = 200_000  # squared, this would take some minutes
    aside = {place: Problem("", "too large") for place in range(0, count, 2)}
    refused = [Refusal(place, (Problem("", "bad"),)) for place in range(count // 2)]
    assert [one.index for one in _merged(refused, aside, count)] == list(range(count))
