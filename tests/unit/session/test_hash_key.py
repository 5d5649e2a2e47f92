"""The hash key keeps strangers from choosing visitors that collide; it changes no signal, and may not change itself."""

import numpy as np
import pytest

from relance.kernel.errors import Defect
from services.session.domain.engine import Engine
from services.session.domain.index import home_of, key_hash
from tests.unit.session.test_origins import HOUR_MS, START_MS, views

_MASK = 2**64 - 1
_K1 = 0x9E3779B97F4A7C15


def after(engine: Engine) -> Engine:
    engine.apply(views(range(50), START_MS), START_MS, 1)
    return engine


def test_a_bucket_saved_with_another_key_is_refused() -> None:
    saved = after(Engine(1, key=b"one")).snapshot(0)
    other = Engine(1, key=b"two")
    other.start_at(START_MS)
    with pytest.raises(Defect, match="another hash key"):
        other.join(saved)
    same = Engine(1, key=b"one", seed=7)
    same.start_at(START_MS)
    same.join(saved)
    assert same.live == 50


def test_signals_depend_neither_on_key_nor_on_seed() -> None:
    plain, secret = after(Engine(4)), after(Engine(4, key=b"secret", seed=2**62 + 1))
    late = START_MS + HOUR_MS
    assert plain.advance(late).to_signals() == secret.advance(late).to_signals()


def test_visitors_chosen_to_collide_are_scattered_by_a_key() -> None:
    """Who knows a shop's number in the hash can choose the visitors' second word so that they all hash alike."""
    slots = 4_096

    def homes(engine: Engine, chosen: list[tuple[int, int]]) -> int:
        shop_key = engine.tables.shop_key[0]
        hashes = [np.uint64(key_hash(np.uint64(hi), np.uint64(lo), shop_key)) for hi, lo in chosen]
        return len({int(home_of(one, slots)) for one in hashes})

    known = after(Engine(1))
    shop_key = int(known.tables.shop_key[0])
    chosen = []
    for hi in range(200):
        first = (hi ^ shop_key) * _K1 & _MASK
        first ^= first >> 30
        chosen.append((hi, -first & _MASK))  # what the second step adds up to is 0 for all
    assert homes(known, chosen) == 1
    assert homes(after(Engine(1, key=b"secret")), chosen) > 150
