"""Lists, searches and expanded answers of Stripe's API."""

import re
from collections.abc import Iterable
from typing import Any, Final

from relance.bank.ledger import Ledger
from relance.bank.wire import ApiError, Json, public, whole_number

__all__ = ["answer", "list_of", "search"]

_LIMIT: Final = 100
_QUERY: Final = re.compile(r"metadata\[['\"](\w+)['\"]\]:\s*['\"]([^'\"]*)['\"]")
_COMPARED: Final = frozenset({"gte", "gt", "lte", "lt"})


def answer(ledger: Ledger, value: Json, form: Json) -> Json:
    """An object as it is answered, with the ids that `expand` names replaced by their objects."""
    shown: Json = public(value)
    for path in _expanded(form):
        _expand(ledger, shown, path.split("."))
    return shown


def list_of(ledger: Ledger, kind: str, form: Json, url: str) -> Json:
    """A page of a list, newest first."""
    limit = whole_number(form, "limit", 10)
    if not 1 <= limit <= _LIMIT:
        raise ApiError(400, "invalid_request_error", "Invalid limit", param="limit")
    after = form.get("starting_after")
    found: list[Json] = []
    begun = after is None
    for value in _candidates(ledger, kind, form):
        if begun and _matches(value, form):
            found.append(value)
            if len(found) > limit:
                break
        begun = begun or value["id"] == after
    expand = {"expand": [path.removeprefix("data.") for path in _expanded(form)]}
    data = [answer(ledger, value, expand) for value in found[:limit]]
    return {"object": "list", "url": url, "has_more": len(found) > limit, "data": data}


def search(ledger: Ledger, kind: str, form: Json, url: str) -> Json:
    """Objects by one entry of their metadata. Raises ApiError for another query."""
    query = _QUERY.fullmatch(str(form.get("query", "")).strip())
    if query is None:
        raise ApiError(400, "invalid_request_error", "The bank knows metadata['name']:'value' only", param="query")
    found = [value for value in ledger.newest(kind) if value.get("metadata", {}).get(query[1]) == query[2]]
    data = [answer(ledger, value, form) for value in found[:_LIMIT]]
    return {"object": "search_result", "url": url, "has_more": False, "next_page": None, "data": data}


def _candidates(ledger: Ledger, kind: str, form: Json) -> Iterable[Json]:
    if intent := form.get("payment_intent"):
        return ledger.of_intent(str(intent), kind)
    return ledger.newest(kind)


def _matches(value: Json, form: Json) -> bool:
    if "status" in form and value.get("status") != form["status"]:
        return False
    if "type" in form and value.get("type") != form["type"]:
        return False
    created = form.get("created")
    if created is None:
        return True
    bounds = created if isinstance(created, dict) else {"gte": created, "lte": created}
    if unknown := sorted(set(bounds) - _COMPARED):
        raise ApiError(400, "invalid_request_error", "Unknown bound", param=f"created[{unknown[0]}]")
    at = int(value["created"])
    limits = {name: whole_number(bounds, name) for name in bounds}
    return limits.get("gte", at) <= at <= limits.get("lte", at) and limits.get("gt", at - 1) < at < limits.get(
        "lt", at + 1
    )


def _expanded(form: Json) -> list[str]:
    wished = form.get("expand", [])
    return [str(path) for path in wished] if isinstance(wished, list) else []


def _expand(ledger: Ledger, value: Any, path: list[str]) -> None:
    name, rest = path[0], path[1:]
    if not isinstance(value, dict) or name not in value:
        raise ApiError(400, "invalid_request_error", f"This property cannot be expanded ({name}).", param="expand")
    if isinstance(value[name], str) and (found := ledger.find(value[name])):
        value[name] = public(found)
    if rest and value[name] is not None:
        _expand(ledger, value[name], rest)
