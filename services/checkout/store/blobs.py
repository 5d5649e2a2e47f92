"""What was shown, by its hash; what names a person is encrypted under the key of that person.

Encrypted bytes are found by the hash of what they hold too: under a key made of the master key, for the plain hash of
a page would let somebody guess at an erased person's address.
"""

from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, delete, or_, select

from relance.database.statements import Statement, insertion
from relance.evidence.entries import Document, Sealed, digest
from relance.evidence.personal import (
    Opened,
    Person,
    WrappedKey,
    bytes_of,
    new_key,
    open_document,
    open_field,
    seal_document,
    seal_field,
    unwrap,
    wrap,
)
from relance.kernel.errors import InputError
from services.checkout.store.chains import Chains
from services.checkout.store.keys import key_name, lookup_of
from services.checkout.store.schema import BLOBS, PERSONS

__all__ = ["Blobs"]

_OF: Final = select(BLOBS).where(BLOBS.c.shop == bindparam("of_shop"))
_BY_HASH: Final = Statement(_OF.where(BLOBS.c.hash == bindparam("of_hash")))
_BY_EITHER: Final = Statement(
    _OF.where(or_(BLOBS.c.hash == bindparam("of_hash"), BLOBS.c.lookup == bindparam("of_lookup"))).limit(1)
)
_KEEP: Final = insertion(
    BLOBS, "shop", "hash", "media_type", "data", "subject", "bound_to", "lookup", "document", unless_there=True
)
_PERSON: Final = (PERSONS.c.shop == bindparam("of_shop"), PERSONS.c.subject == bindparam("of_subject"))
_KEY_OF: Final = Statement(select(PERSONS.c.wrapped).where(*_PERSON))
_KNOW: Final = insertion(PERSONS, "shop", "subject", "wrapped", unless_there=True)
_ERASE: Final = Statement(delete(PERSONS).where(*_PERSON))
_BARE: Final[dict[str, Any]] = {"subject": None, "bound_to": None, "lookup": None}


class Blobs(Chains):
    """The room of documents and persons in a transaction."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._keys: dict[tuple[str, str], bytes] = {}

    async def keep(
        self, shop: str, blob: bytes, media_type: str, *, subject: str | None = None, order: str = ""
    ) -> Document:
        """Keep bytes, and say of them what evidence says. With a `subject` they hold his data: they are encrypted, and
        bound to the order (or, before the click, the checkout) whose evidence shows them.
        """
        if subject is None:
            document = Document(media_type=media_type, size_bytes=len(blob), sha256=digest(blob))
            await self._store(shop, digest(blob), blob, document)
            return document
        person = Person(
            shop=shop, order=await self.chain_of(shop, order), subject=subject, key=await self._key(shop, subject)
        )
        document, encrypted = seal_document(person, blob, media_type, self._around.draw)
        about = {"subject": subject, "bound_to": person.order, "lookup": self._lookup(digest(blob))}
        await self._store(shop, digest(encrypted), encrypted, document, about)
        return document

    async def blob(self, shop: str, sha256: str) -> bytes | None:
        """The bytes with this hash, be it theirs or that of their encrypted form; None when they are not there, or
        their person was erased.
        """
        await self._write_waiting("blobs")
        row = None
        for secret in (self._around.master.secret, *self._around.master.older):  # rotation may not have reached it yet
            of = {"of_shop": shop, "of_hash": sha256, "of_lookup": lookup_of(secret, sha256)}
            if (row := await self._row(_BY_EITHER, of)) is not None:
                break
        if row is None or row.subject is None:
            return None if row is None else bytes(row.data)
        opened = await self.open_blob(shop, row.hash)
        return None if opened is None else bytes_of(opened.value)

    async def stored(self, shop: str, hash_: str) -> bytes | None:
        """The bytes stored under a hash, as they are."""
        await self._write_waiting("blobs")
        row = await self._row(_BY_HASH, {"of_shop": shop, "of_hash": hash_})
        return None if row is None else bytes(row.data)

    async def open_blob(self, shop: str, hash_: str) -> Opened | None:
        """Salt and bytes of an encrypted blob, by its own hash; None when it is not there or its person was erased."""
        await self._write_waiting("blobs")
        row = await self._row(_BY_HASH, {"of_shop": shop, "of_hash": hash_})
        if row is None or row.subject is None:
            return None
        key = await self._key_of(shop, row.subject)
        if key is None:
            return None
        person = Person(shop=shop, order=row.bound_to, subject=row.subject, key=key)
        return open_document(msgspec.json.decode(row.document, type=Document), bytes(row.data), person)

    async def seal(self, shop: str, order: str, subject: str, name: str, value: str) -> Sealed:
        """A person's text for an act's `personal`, encrypted and bound to the order (or checkout) of the act."""
        person = Person(
            shop=shop, order=await self.chain_of(shop, order), subject=subject, key=await self._key(shop, subject)
        )
        return seal_field(person, name, value, self._around.draw)

    async def open_sealed(self, shop: str, chain: str, sealed: Sealed) -> Opened | None:
        """Salt and value of a field in the entries of `chain`; None when its person was erased."""
        key = await self._key_of(shop, sealed.subject)
        if key is None:
            return None
        return open_field(sealed, Person(shop=shop, order=chain, subject=sealed.subject, key=key))

    async def erase(self, shop: str, subject: str) -> bool:
        """Make all that is encrypted for a person unreadable for ever; chains stay as they are. False: not known."""
        self._keys.pop((shop, subject), None)
        await self._write_waiting("persons")
        return await self._run(_ERASE, {"of_shop": shop, "of_subject": subject}) == 1

    async def _store(
        self, shop: str, name: str, data: bytes, document: Document, about: dict[str, Any] | None = None
    ) -> None:
        row = {
            "shop": shop, "hash": name, "media_type": document.media_type, "data": data,
            "document": msgspec.json.encode(document).decode(),
        } | (about or _BARE)  # fmt: skip
        if not self._waits("blobs", row):
            await self._run(_KEEP, row)

    async def _key(self, shop: str, subject: str) -> bytes:
        """The person's key, made when there is none."""
        key = await self._key_of(shop, subject)
        if key is not None:
            return key
        around = self._around
        fresh = new_key(around.draw)
        wrapped = wrap(key_name(shop, subject), fresh, (around.master.name, around.master.secret), around.draw)
        row = {"shop": shop, "subject": subject, "wrapped": msgspec.json.encode(wrapped).decode()}
        if self._waits("persons", row):  # of two who make one, the second is told that there is one, and repeats
            self._keys[shop, subject] = fresh
            return fresh
        await self._run(_KNOW, row)
        key = await self._key_of(shop, subject)  # of two who make one, the first counts
        if key is None:
            raise InputError(f"the person {subject!r} was erased meanwhile")
        return key

    async def _key_of(self, shop: str, subject: str) -> bytes | None:
        if (shop, subject) in self._keys:
            return self._keys[shop, subject]
        row = await self._row(_KEY_OF, {"of_shop": shop, "of_subject": subject})
        if row is None:
            return None
        wrapped = msgspec.json.decode(row.wrapped, type=WrappedKey)
        if wrapped.subject != key_name(shop, subject):
            raise InputError(f"the key of {subject!r} is another person's")
        key = self._keys[shop, subject] = unwrap(wrapped, self._around.master.secret_of(wrapped.master))
        return key

    def _lookup(self, hash_: str) -> str:
        return lookup_of(self._around.master.secret, hash_)
