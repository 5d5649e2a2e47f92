"""How a call ends with another status than OK, and what its caller is told."""

from typing import Any, Final, NoReturn

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, ResourceInfo  # type: ignore[import-untyped]

from relance.serving import refusals
from services.checkout.domain.outcomes import Refusal

__all__ = ["Refused", "abort", "by_law", "invalid", "missing", "no_rule"]

TEXT_MAX: Final = 240  # letters of what a caller is told: it travels in headers, which clients bound to 8 kB in all


class Refused(Exception):  # noqa: N818 - how a call ends, told to the caller
    """A call that ends with `code`; `details` are messages of google.rpc."""

    def __init__(self, code: grpc.StatusCode, text: str, *details: Message) -> None:
        super().__init__(text)
        self.code = code
        self.text = _cut(text)
        self.details = details


def invalid(field: str, reason: str) -> Refused:
    """INVALID_ARGUMENT; `field` is the path of what is wrong in the request."""
    violation = BadRequest.FieldViolation(field=_cut(field), description=_cut(reason))
    text = f"{field}: {reason}" if field else reason
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, text, BadRequest(field_violations=[violation]))


def no_rule(id: str, reason: str) -> Refused:  # noqa: A002 - the word of the domain
    """NOT_FOUND: there is no such rule, or not on that day; `reason` says when."""
    named = ResourceInfo(resource_type="rule", resource_name=_cut(id), description=_cut(reason))
    return Refused(grpc.StatusCode.NOT_FOUND, reason, named)


def missing(kind: str, name: str) -> Refused:
    """NOT_FOUND: this shop has no such thing; whether another has, is not said."""
    text = f"there is no {kind} {name}"
    return Refused(grpc.StatusCode.NOT_FOUND, text, ResourceInfo(resource_type=kind, resource_name=_cut(name)))


def by_law(found: Refusal, code: grpc.StatusCode = grpc.StatusCode.FAILED_PRECONDITION) -> Refused:
    """A refusal of a use case: the field, and where the law decides, the rule and its article."""
    violation = BadRequest.FieldViolation(field=_cut(found.field), description=_cut(found.reason))
    details: list[Message] = [BadRequest(field_violations=[violation])]
    cited = ""
    if found.rule:
        named = {"rule": found.rule, "article": found.article, "field": _cut(found.field)}
        details.append(ErrorInfo(reason=f"RULE_{found.rule}", domain="relance.law", metadata=named))
        cited = f" ({', '.join(filter(None, (found.rule, found.article)))})"
    return Refused(code, f"{found.field}: {found.reason}{cited}" if found.field else found.reason, *details)


async def abort(context: Any, refused: Refused) -> NoReturn:
    """End the call, with what went wrong also as google.rpc.Status details."""
    await refusals.abort(context, refused.code, refused.text, refused.details)


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 1]}…"
