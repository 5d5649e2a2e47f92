"""Deterministic ids: each is derived from what caused it, so that a replay says the same."""

from uuid import NAMESPACE_URL, UUID, uuid5

__all__ = ["is_uuid", "session_id", "visitor_uuid"]


def is_uuid(visitorid: str) -> bool:
    """Whether the id is a UUID as it is usually written: 8-4-4-4-12 hex digits, small or capital."""
    try:
        return len(visitorid) == 36 and str(UUID(visitorid)) == visitorid.lower()
    except ValueError:
        return False


def visitor_uuid(shop: str, visitorid: str) -> UUID:
    """The visitor's UUID: a UUID is kept, any other string is hashed within its shop."""
    if is_uuid(visitorid):
        return UUID(visitorid)
    return uuid5(uuid5(NAMESPACE_URL, f"/shops/{shop}"), visitorid)


def session_id(visitor: UUID, shop: str, first_append_ms: int) -> UUID:
    """Id of the session that began with a record appended at `first_append_ms`."""
    return uuid5(visitor, f"{shop}/{first_append_ms}")
