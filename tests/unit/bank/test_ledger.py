"""What the bank keeps: objects, answers by key, what is due; in a file that outlives it."""

from pathlib import Path

import pytest

from relance.bank.ledger import Ledger
from relance.bank.wire import ApiError

ONE = {"id": "re_1", "object": "refund", "created": 1, "payment_intent": "pi_1"}


class Clock:
    def __init__(self) -> None:
        self.at = 1_000_000.0

    def __call__(self) -> float:
        return self.at


def test_a_key_answers_once_and_the_same() -> None:
    ledger = Ledger(clock=Clock())
    assert ledger.recall("k", b"request") is None
    with pytest.raises(ApiError) as busy:
        ledger.recall("k", b"request")
    assert (busy.value.status, busy.value.code) == (409, "idempotency_key_in_use")
    ledger.keep("k", 200, {"id": "x"})
    assert ledger.recall("k", b"request") == (200, {"id": "x"})
    with pytest.raises(ApiError) as other:
        ledger.recall("k", b"another request")
    assert (other.value.status, other.value.kind) == (400, "idempotency_error")


def test_a_request_that_failed_leaves_its_key_free() -> None:
    ledger = Ledger(clock=Clock())
    ledger.recall("k", b"wrong")
    ledger.forget("k")
    assert ledger.recall("k", b"right") is None


def test_a_key_is_forgotten_after_a_day() -> None:
    clock = Clock()
    ledger = Ledger(clock=clock)
    ledger.recall("k", b"request")
    ledger.keep("k", 200, {})
    clock.at += 24 * 3600 - 1
    assert ledger.recall("k", b"request") == (200, {})
    ledger.set_ahead(1)
    assert ledger.recall("k", b"request") is None


def test_a_file_tells_all_to_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "bank.jsonl"
    first = Ledger(path, Clock())
    first.put(dict(ONE))
    first.put({**ONE, "created": 2})
    first.recall("k", b"request")
    first.keep("k", 200, {"id": "re_1"})
    first.set_ahead(60)
    first.close()
    second = Ledger(path, Clock())
    assert second.get("refund", "re_1")["created"] == 2
    assert second.recall("k", b"request") == (200, {"id": "re_1"})
    assert second.now() == 1_000_060
    assert [one["id"] for one in second.of_intent("pi_1", "refund")] == ["re_1"]
    second.close()


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_a_line_that_was_cut_off_was_never_answered(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "bank.jsonl"
    first = Ledger(path, Clock())
    first.put(dict(ONE))
    first.put({**ONE, "id": "re_2"})
    first.close()
    path.write_bytes(path.read_bytes()[:-cut])
    second = Ledger(path, Clock())
    assert second.find("re_1") is not None
    assert second.find("re_2") is None
    second.put({**ONE, "id": "re_3"})
    second.close()
    third = Ledger(path, Clock())
    assert [one["id"] for one in third.newest("refund")] == ["re_3", "re_1"]
    third.close()


def test_what_is_due_comes_once() -> None:
    clock = Clock()
    ledger = Ledger(clock=clock)
    ledger.put({**ONE, "_then_at": clock.at + 10})
    ledger.put({**ONE, "id": "re_2"})
    assert ledger.due() == []
    clock.at += 10
    assert [one["id"] for one in ledger.due()] == ["re_1"]
    assert ledger.due() == []


def test_nothing_is_found_by_another_name() -> None:
    with pytest.raises(ApiError) as missing:
        Ledger(clock=Clock()).get("refund", "re_1")
    assert (missing.value.status, missing.value.code) == (404, "resource_missing")
