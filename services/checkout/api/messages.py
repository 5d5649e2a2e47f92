"""Rules, findings and dates as gRPC carries them, and back."""

from contextlib import suppress
from datetime import date
from typing import Any, Final

import msgspec

from relance.kernel.errors import InputError
from relance.rpc.checkout.v1 import law_pb2 as pb
from relance.rules.law.asks import convert
from relance.rules.law.book import Rule
from relance.rules.law.document import Document, decode
from relance.rules.law.terms import Unanswerable
from relance.rules.law.verdict import Finding

__all__ = ["SEVERITIES", "read_checkout", "read_day", "to_finding", "to_rule", "to_summary", "to_validity"]

SEVERITIES: Final = {"block": pb.SEVERITY_BLOCK, "warn": pb.SEVERITY_WARN, "out": pb.SEVERITY_OUT}
_APPLIES_BY: Final = {
    "contract": pb.APPLIES_BY_CONTRACT,
    "display": pb.APPLIES_BY_DISPLAY,
    "act": pb.APPLIES_BY_ACT,
}
_READINGS: Final = {"settled": pb.READING_SETTLED, "U": pb.READING_UNSETTLED}


def read_day(text: str, field: str) -> date | None:
    """An ISO date, None for none. Raises Unanswerable that names `field`."""
    if not text:
        return None
    if len(text) != len("2026-01-01"):
        raise Unanswerable(field, "Expected an ISO date")
    day = convert(text, date, field)
    assert isinstance(day, date)
    return day


def read_checkout(data: bytes, field: str) -> Document:
    """A checkout document of JSON. Raises Unanswerable with the dotted path, from `field` on, of what is wrong."""
    with suppress(InputError, ValueError, OverflowError, RecursionError):
        return decode(data)  # many times faster, but it does not say where a fault is
    try:
        plain: Any = msgspec.json.decode(data)
    except RecursionError:
        raise Unanswerable(field, "not JSON that can be read: nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unanswerable(field, f"not JSON: {error}") from None
    document = convert(plain, Document, field)
    assert isinstance(document, Document)
    return document


def to_finding(found: Finding) -> pb.Finding:
    """Field for field."""
    return pb.Finding(
        rule=found.rule, version=found.version, article=found.article, field=found.field, reason=found.reason
    )


def to_validity(rule: Rule) -> pb.Validity:
    """The days on which this version is in force."""
    valid_to = rule.valid_to.isoformat() if rule.valid_to is not None else ""
    return pb.Validity(version=rule.version, valid_from=rule.valid_from.isoformat(), valid_to=valid_to)


def to_summary(rule: Rule) -> pb.RuleSummary:
    """A rule as a list shows it."""
    return pb.RuleSummary(
        id=rule.id,
        validity=to_validity(rule),
        severity=SEVERITIES[rule.severity],
        applies_by=_APPLIES_BY[rule.applies_by],
        article=rule.article,
        title=rule.title,
    )


def to_rule(rule: Rule) -> pb.Rule:
    """A rule whole, in the order of the book."""
    return pb.Rule(
        summary=to_summary(rule),
        jurisdiction=rule.jurisdiction,
        statement=rule.statement,
        sources=[pb.Source(code=source.code, article=source.article, url=source.url) for source in rule.sources],
        dated=rule.dated == "read",
        reason_out=rule.reason,
        reading=_READINGS[rule.reading],
        evidence=rule.evidence,
        consequence=rule.consequence,
        parameters=[
            pb.Parameter(
                name=name, value_json=msgspec.json.encode(value).decode(), article=rule.parameter_articles[name]
            )
            for name, value in rule.parameters.items()
        ],
        wordings=[
            pb.Wording(
                name=name, article=wording.article, source=wording.source, sha256=wording.sha256, text=wording.text
            )
            for name, wording in rule.wordings.items()
        ],
    )
