from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.evidence import merkle
from relance.evidence.canonical import canonical
from relance.evidence.checkpoints import Checkpoint, decode, encode, seal
from relance.evidence.entries import Act, Head, append, digest, start
from relance.evidence.verification import Verification, verify
from relance.kernel.errors import InputError
from tests.unit.evidence.story import MINUTE_MS, SHOP, TEN_MS, acts, chain, key, public, world

STORE, LOG = world()
ORDER = (SHOP, "o-1")
OTHER = (SHOP, "o-2")


def kinds(found: Verification) -> set[str]:
    return {finding.kind for finding in found.findings}


def changed(data: bytes, **fields: object) -> bytes:
    return canonical({**msgspec.json.decode(data), **fields})


def rechained(order: str, facts: dict[str, object]) -> list[bytes]:
    """The order again, its payment written anew, with all hashes right."""
    told, _ = acts(order)
    return chain(order, [*told[:-1], msgspec.structs.replace(told[-1], facts=facts)])[0]


def test_evidence_that_nobody_touched_holds() -> None:
    found = verify(STORE, LOG, public())
    assert found.holds
    assert (found.orders, found.entries, found.unsealed, found.checkpoints) == (3, 18, 0, 3)


@given(st.sampled_from(sorted(STORE)), st.integers(0, 5), st.data())
def test_any_byte_of_any_entry_that_is_edited_is_found(place: tuple[str, str], seq: int, data: st.DataObject) -> None:
    entry = STORE[place][seq]
    at = data.draw(st.integers(0, len(entry) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != entry[at]))
    entries = [*STORE[place]]
    entries[seq] = entry[:at] + bytes([byte]) + entry[at + 1 :]
    assert not verify({**STORE, place: entries}, LOG, public()).holds


@given(st.integers(0, 2), st.data())
def test_any_byte_of_any_checkpoint_that_is_edited_is_found(number: int, data: st.DataObject) -> None:
    line = LOG[number]
    at = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[at]))
    log = [*LOG]
    log[number] = line[:at] + bytes([byte]) + line[at + 1 :]
    assert not verify(STORE, log, public()).holds


def test_an_edited_fact_breaks_the_link_after_it() -> None:
    entries = [*STORE[ORDER]]
    entries[3] = changed(entries[3], facts={"total_minor": 1})
    found = verify({**STORE, ORDER: entries}, LOG, public())
    assert kinds(found) == {"broken_chain"}
    assert found.findings[0].place == "order atelier/o-1, entry 4"


def test_a_chain_that_was_written_anew_with_all_its_hashes_is_found() -> None:
    entries = rechained("o-1", {"status": "failed"})
    assert kinds(verify({**STORE, ORDER: entries}, LOG, public())) == {"rewritten"}


@pytest.mark.parametrize("left", [1, 2, 3, 5])
def test_a_chain_that_lost_its_end_is_found(left: int) -> None:
    found = verify({**STORE, ORDER: STORE[ORDER][:left]}, LOG, public())
    assert kinds(found) == {"truncated"}
    assert f"{left} entries are left of the 6" in found.findings[0].reason


def test_an_order_that_was_deleted_is_found() -> None:
    without = {place: entries for place, entries in STORE.items() if place != ORDER}
    for store in (without, {**without, ORDER: []}):
        found = verify(store, LOG, public())
        assert kinds(found) == {"missing_order"}
        assert found.findings[0].place == "order atelier/o-1"


def test_entries_that_changed_places_are_found() -> None:
    entries = [*STORE[ORDER]]
    entries[1], entries[2] = entries[2], entries[1]
    assert {"misplaced", "broken_chain"} <= kinds(verify({**STORE, ORDER: entries}, LOG, public()))


def test_an_entry_of_another_order_is_found() -> None:
    entries = [*STORE[ORDER]]
    entries[5] = STORE[OTHER][5]
    assert {"misplaced", "broken_chain", "rewritten"} <= kinds(verify({**STORE, ORDER: entries}, LOG, public()))


def test_orders_that_changed_names_are_found() -> None:
    swapped = {**STORE, ORDER: STORE[OTHER], OTHER: STORE[ORDER]}
    found = verify(swapped, LOG, public())
    assert {"misplaced", "rewritten"} <= kinds(found)
    assert {finding.place.partition(",")[0] for finding in found.findings} == {"order atelier/o-1", "order atelier/o-2"}


def test_a_log_signed_again_with_another_key_is_found() -> None:
    store, log = world(seed=2)
    assert verify(store, log, public(2)).holds
    found = verify(store, log, public())
    assert kinds(found) == {"wrong_key"}
    assert len(found.findings) == 3


def test_one_checkpoint_signed_again_with_another_key_is_found() -> None:
    first = decode(LOG[0])
    resigned = msgspec.structs.replace(first, signature=key(2).sign(first.header_bytes).hex())
    assert "bad_signature" in kinds(verify(STORE, [encode(resigned), *LOG[1:]], public()))


def test_after_a_handover_neither_key_signs_for_the_other() -> None:
    _, head = chain("o-1", acts("o-1")[0])
    first = seal(None, [head], TEN_MS + MINUTE_MS, key(1), next_key=key(2).public_key())
    second = seal(first, [], TEN_MS + 2 * MINUTE_MS, key(2))
    store = {ORDER: STORE[ORDER]}
    assert verify(store, [encode(first), encode(second)], public(1)).holds
    with pytest.raises(InputError, match="not the key that the last checkpoint names"):
        seal(first, [], TEN_MS, key(1))
    anew = seal(None, [head], TEN_MS + MINUTE_MS, key(2))
    assert "wrong_key" in kinds(verify(store, [encode(anew), encode(second)], public(1)))


@pytest.mark.parametrize("removed", [0, 1])
def test_a_checkpoint_that_was_removed_is_found(removed: int) -> None:
    log = [line for number, line in enumerate(LOG) if number != removed]
    assert "checkpoint_missing" in kinds(verify(STORE, log, public()))


def test_a_checkpoint_that_was_replaced_by_its_own_signer_breaks_the_log() -> None:
    anew = seal(None, [], TEN_MS + MINUTE_MS, key())
    assert "broken_log" in kinds(verify(STORE, [encode(anew), *LOG[1:]], public()))


def test_a_log_that_lost_its_end_is_found_by_what_was_given_out_of_it() -> None:
    newest = decode(LOG[2])
    assert verify(STORE, LOG[:2], public()).holds
    found = verify(STORE, LOG[:2], public(), known={3: newest.hash})
    assert kinds(found) == {"witness_contradicted"}
    assert verify(STORE, LOG, public(), known={3: newest.hash}).holds
    assert not verify(STORE, LOG, public(), known={2: newest.hash}).holds


def test_what_was_never_sealed_is_found_by_the_head_in_the_confirmation_only() -> None:
    entries, head = chain("o-9")
    store = {**STORE, (SHOP, "o-9"): entries}
    assert verify(store, LOG, public()).unsealed == 6
    assert verify(STORE, LOG, public()).holds
    assert kinds(verify(STORE, LOG, public(), [head])) == {"witness_contradicted"}
    edited = rechained("o-9", {"status": "failed"})
    assert verify({**STORE, (SHOP, "o-9"): edited}, LOG, public()).holds
    assert kinds(verify({**STORE, (SHOP, "o-9"): edited}, LOG, public(), [head])) == {"witness_contradicted"}
    assert verify(store, LOG, public(), [head]).holds


def test_an_entry_that_was_added_later_with_an_earlier_time_is_found() -> None:
    late = Act(at_ms=TEN_MS, act="accepted", what="terms")
    data, head = append(Head(shop=SHOP, order="o-1", length=6, hash=digest(STORE[ORDER][5])), late)
    prior = seal(decode(LOG[2]), [], TEN_MS + 30 * MINUTE_MS, key())
    sealed = seal(prior, [head], TEN_MS + 31 * MINUTE_MS, key())
    store = {**STORE, ORDER: [*STORE[ORDER], data]}
    assert kinds(verify(store, [*LOG, encode(prior), encode(sealed)], public())) == {"antedated"}


def test_an_entry_that_is_younger_than_its_seal_is_found() -> None:
    data, head = append(start(SHOP, "o-8"), Act(at_ms=TEN_MS + 60 * MINUTE_MS, act="shown", what="terms"))
    log = [*LOG, encode(seal(decode(LOG[2]), [head], TEN_MS + 4 * MINUTE_MS, key()))]
    assert kinds(verify({**STORE, (SHOP, "o-8"): [data]}, log, public())) == {"postdated"}


def test_a_head_that_was_sealed_may_be_sealed_again() -> None:
    again = seal(decode(LOG[2]), decode(LOG[1]).heads, TEN_MS + 4 * MINUTE_MS, key())
    assert verify(STORE, [*LOG, encode(again)], public()).holds


def test_a_clock_that_was_set_back_does_not_turn_the_log_back() -> None:
    first = seal(None, [], TEN_MS, key())
    second = seal(first, [], TEN_MS - MINUTE_MS, key())
    assert second.header.at == first.header.at
    assert verify({}, [encode(first), encode(second)], public()).holds


def test_heads_that_cannot_be_sealed_are_refused() -> None:
    with pytest.raises(InputError, match="two heads"):
        seal(None, [chain("o-1")[1], chain("o-1", acts("o-1")[0][:2])[1]], TEN_MS, key())
    with pytest.raises(InputError, match="nothing to seal"):
        seal(None, [start(SHOP, "o-1")], TEN_MS, key())


def test_a_checkpoint_is_the_same_whatever_the_order_of_its_heads() -> None:
    heads = [chain(f"o-{number}")[1] for number in range(9)]
    lines = set()
    for turn in range(5):
        Random(turn).shuffle(heads)
        lines.add(encode(seal(None, heads, TEN_MS, key())))
    assert len(lines) == 1
    (line,) = lines
    read: Checkpoint = decode(line)
    assert all(before.order < after.order for before, after in pairwise(read.heads))


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=33), st.data())
def test_a_path_leads_its_leaf_and_no_other_to_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    steps = merkle.path(leaves, index)
    assert merkle.root_from(leaves[index], steps) == merkle.root(leaves)
    assert merkle.root_from(leaves[index] + b"x", steps) != merkle.root(leaves)


def test_the_tree_is_that_of_rfc_6962() -> None:
    """The roots of Certificate Transparency's own test vectors over its eight leaves."""
    texts = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = [bytes.fromhex(text) for text in texts]
    assert merkle.root([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.root(leaves[:1]) == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.root(leaves) == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
