import hashlib

from relance.events.shops import Key, Shop
from services.tracking.api.keys import KeyRing

NOW_MS = 1_800_000_000_000


class Directory:
    """Shops that a test changes by hand."""

    def __init__(self, *shops: Shop) -> None:
        self.shops = list(shops)
        self.version = 1

    def all(self) -> list[Shop]:
        return self.shops

    def replace(self, *shops: Shop) -> None:
        self.shops = list(shops)
        self.version += 1


def key(text: str, kind: str = "secret", expires_at_ms: int | None = None) -> Key:
    return Key(
        kind="secret" if kind == "secret" else "publishable",
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        hint=text[-4:],
        created_at_ms=0,
        expires_at_ms=expires_at_ms,
    )


def shop(name: str, *keys: Key, version: int = 1, origins: tuple[str, ...] = ()) -> Shop:
    return Shop(shop=name, version=version, keys=keys, origins=origins)


def test_a_key_opens_its_own_shop_and_no_other() -> None:
    ring = KeyRing(Directory(shop("a", key("sk-a")), shop("b", key("sk-b"), key("pk-b", "publishable"))))
    first, second, third = (ring.find(shown, NOW_MS) for shown in (b"sk-a", b"sk-b", b"pk-b"))
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.shop.shop, first.kind) == ("a", "secret")
    assert (second.shop.shop, second.kind) == ("b", "secret")
    assert (third.shop.shop, third.kind) == ("b", "publishable")


def test_unknown_empty_and_endless_keys_open_nothing() -> None:
    ring = KeyRing(Directory(shop("a", key("sk-a"))))
    assert [ring.find(shown, NOW_MS) for shown in (b"sk-b", b"sk-b", b"", b"x" * 5_000)] == [None] * 4


def test_a_rotated_key_works_until_it_expires() -> None:
    ring = KeyRing(Directory(shop("a", key("old", expires_at_ms=NOW_MS + 1_000), key("new"))))
    assert ring.find(b"old", NOW_MS) is not None
    assert ring.find(b"old", NOW_MS + 999) is not None
    assert ring.find(b"old", NOW_MS + 1_000) is None
    assert ring.find(b"new", NOW_MS + 1_000) is not None


def test_a_change_of_the_shops_holds_from_the_next_request_on() -> None:
    directory = Directory(shop("a", key("sk-a")))
    ring = KeyRing(directory)
    assert ring.find(b"sk-a", NOW_MS) is not None
    assert ring.find(b"sk-2", NOW_MS) is None
    directory.replace(shop("a", key("sk-2"), version=2))
    assert ring.find(b"sk-a", NOW_MS) is None
    assert ring.find(b"sk-2", NOW_MS) is not None


def test_what_is_remembered_of_wrong_keys_is_bounded() -> None:
    ring = KeyRing(Directory(shop("a", key("sk-a"))))
    for number in range(40_000):
        assert ring.find(b"guess-%d" % number, NOW_MS) is None
    assert len(ring._unknown) <= 16_384
    assert ring.find(b"sk-a", NOW_MS) is not None


def test_an_origin_is_known_when_any_shop_has_it() -> None:
    ring = KeyRing(Directory(shop("a", origins=("https://a.example",)), shop("b")))
    assert ring.origin_known(b"https://a.example")
    assert not ring.origin_known(b"https://b.example")
