from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relance.evidence.checkpoints import encode, seal
from relance.evidence.entries import Act, decode
from relance.evidence.personal import (
    WrappedKey,
    bytes_of,
    new_key,
    open_document,
    open_field,
    proves,
    seal_document,
    seal_field,
    text_of,
    unwrap,
    wrap,
)
from relance.evidence.verification import verify
from relance.kernel.errors import InputError
from tests.unit.evidence.story import SHOP, TEN_MS, chain, draw, key, person, public

MASTER = ("m-1", draw(9)(32))


@given(st.text(max_size=200), st.integers(0, 2**32))
def test_a_sealed_field_opens_with_its_key_and_proves_its_commitment(value: str, seed: int) -> None:
    who = person("o-1")
    sealed = seal_field(who, "email", value, draw(seed))
    opened = open_field(sealed, who)
    assert text_of(opened) == value
    assert proves(opened, sealed.commitment)
    assert sha256(bytes.fromhex(opened.salt) + value.encode()).hexdigest() == sealed.commitment


def test_a_field_opens_with_no_other_key_order_person_or_name() -> None:
    who = person("o-1")
    sealed = seal_field(who, "email", "lea@example.fr", draw())
    for other in (person("o-1", seed=4), person("o-2"), person("o-1", subject="p-2")):
        with pytest.raises(InputError, match="does not open"):
            open_field(sealed, other)
    with pytest.raises(InputError, match="does not open"):
        open_field(msgspec.structs.replace(sealed, name="phone"), who)
    with pytest.raises(InputError, match="not the one committed to"):
        open_field(msgspec.structs.replace(sealed, commitment="0" * 64), who)


def test_equal_values_have_neither_equal_ciphertexts_nor_equal_commitments() -> None:
    random = draw()
    first, second = (seal_field(person("o-1"), "email", "lea@example.fr", random) for _ in range(2))
    assert first.commitment != second.commitment
    assert first.ciphertext != second.ciphertext


def test_a_sealed_document_opens_from_its_own_blob_only() -> None:
    who = person("o-1")
    document, blob = seal_document(who, b"<p>Lea</p>", "text/html", draw())
    assert b"Lea" not in blob
    assert document.sha256 is None
    assert bytes_of(open_document(document, blob, who).value) == b"<p>Lea</p>"
    with pytest.raises(InputError, match="not the one that the evidence names"):
        open_document(document, blob[:-1] + b"\0", who)


def test_a_persons_key_is_wrapped_for_that_person_under_that_master() -> None:
    secret = new_key(draw(3))
    wrapped = wrap("p-1", secret, MASTER, draw())
    assert secret.hex() not in str(msgspec.to_builtins(wrapped))
    assert unwrap(wrapped, MASTER[1]) == secret
    others: list[WrappedKey] = [msgspec.structs.replace(wrapped, subject="p-2")]
    others += [msgspec.structs.replace(wrapped, master="m-2"), msgspec.structs.replace(wrapped, ciphertext="00")]
    for other in others:
        with pytest.raises(InputError, match="does not open with this master key"):
            unwrap(other, MASTER[1])
    with pytest.raises(InputError):
        unwrap(wrapped, draw(10)(32))


def test_erasing_a_persons_key_keeps_the_chain_and_makes_the_data_unreadable() -> None:
    keys = {"p-1": wrap("p-1", new_key(draw(3)), MASTER, draw())}
    who = person("o-1")
    sealed = seal_field(who, "email", "lea@example.fr", draw(5))
    entries, head = chain("o-1", [Act(at_ms=TEN_MS, act="chosen", what="contact", personal=(sealed,))])
    log = [encode(seal(None, [head], TEN_MS, key()))]
    assert unwrap(keys["p-1"], MASTER[1]) == who.key

    del keys["p-1"]

    assert verify({(SHOP, "o-1"): entries}, log, public()).holds
    (kept,) = decode(entries[0]).personal
    assert b"lea" not in entries[0]
    assert not any(
        sha256(guess).hexdigest() == kept.commitment for guess in (b"lea@example.fr", b"\0" * 32 + b"lea@example.fr")
    )
    for guess in (MASTER[1], bytes(32), new_key(draw(4))):
        with pytest.raises(InputError, match="does not open"):
            open_field(kept, msgspec.structs.replace(who, key=guess))


@pytest.mark.parametrize("text", ["YQ", "YR==", "YQ==\n", "Y Q=", "é"])
def test_base64_has_one_form(text: str) -> None:
    with pytest.raises(InputError):
        bytes_of(text)
