import msgspec
import pytest

from relance.evidence.canonical import canonical
from relance.evidence.checkpoints import decode as decode_checkpoint
from relance.evidence.checkpoints import encode, seal
from relance.evidence.entries import NOTHING, Act, UnknownVersion, append, decode, digest, start
from relance.kernel.errors import InputError
from tests.unit.evidence.story import SHOP, TEN_MS, chain, key

ACT = Act(at_ms=TEN_MS, act="shown", what="terms", facts={"pages": 3})


def changed(data: bytes, **fields: object) -> bytes:
    return canonical({**msgspec.json.decode(data), **fields})


def test_the_bytes_of_an_entry_are_always_the_same() -> None:
    data, head = append(start("s", "o"), ACT)
    assert data == (
        b'{"act":"shown","at":"2026-11-22T09:00:00.000Z","by":"checkout","document":null,"facts":{"pages":3},'
        b'"order":"o","personal":[],"prior":"' + NOTHING.encode() + b'","rules":[],"seq":0,"shop":"s",'
        b'"type":"relance.evidence.entry","v":1,"what":"terms"}'
    )
    assert head.hash == digest(data)
    assert chain("o-1") == chain("o-1")


def test_each_entry_names_the_one_before() -> None:
    entries, head = chain("o-1")
    read = [decode(data) for data in entries]
    assert [entry.seq for entry in read] == [0, 1, 2, 3, 4, 5]
    assert [entry.prior for entry in read] == [NOTHING, *map(digest, entries[:-1])]
    assert (head.shop, head.order, head.length, head.hash) == (SHOP, "o-1", 6, digest(entries[-1]))


def test_an_unknown_version_is_refused_with_its_number() -> None:
    data, _ = append(start("s", "o"), ACT)
    with pytest.raises(UnknownVersion, match=r"relance\.evidence\.entry of version 2; this program reads version 1"):
        decode(changed(data, v=2))
    with pytest.raises(UnknownVersion, match=r"this is no relance\.evidence\.entry"):
        decode(changed(data, type="another"))
    with pytest.raises(UnknownVersion):
        decode(changed(data, v=True))
    header = seal(None, [], TEN_MS, key()).header_bytes
    line = encode(msgspec.structs.replace(seal(None, [], TEN_MS, key()), header_bytes=changed(header, v=3)))
    with pytest.raises(UnknownVersion, match=r"relance\.evidence\.checkpoint of version 3"):
        decode_checkpoint(line)


@pytest.mark.parametrize(
    "fields",
    [
        {"at": "2026-11-22T10:00:00.000+01:00"}, {"at": "2026-11-22T09:00:00Z"}, {"at": "9999-12-31T23:59:59.999Z"},
        {"seq": -1}, {"prior": "0" * 63}, {"prior": "A" * 64}, {"prior": "0" * 64 + "\n"}, {"by": "nobody"},
        {"act": "thought"}, {"more": 1}, {"rules": [{"id": "A04", "version": 0, "article": "x"}]},
        {"document": {"media_type": "text/plain", "size_bytes": 1, "sha256": None, "sealed": None}},
    ],
)  # fmt: skip
def test_an_ill_formed_entry_is_refused(fields: dict[str, object]) -> None:
    data, _ = append(start("s", "o"), ACT)
    with pytest.raises(InputError):
        decode(changed(data, **fields))


def test_an_act_that_could_not_be_read_again_is_never_recorded() -> None:
    for act in (
        Act(at_ms=-1, act="shown", what="terms"),
        Act(at_ms=TEN_MS, act="shown", what=""),
        Act(at_ms=TEN_MS, act="shown", what="terms", facts={"price": 1.5}),
        Act(at_ms=TEN_MS, act="shown", what="terms", facts={"text": "x" * 1_000_000}),
    ):
        with pytest.raises(InputError):
            append(start("s", "o"), act)
