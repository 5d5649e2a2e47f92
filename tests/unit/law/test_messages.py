"""The law as gRPC carries it: nothing of a rule is lost, and what cannot be read is named."""

import json
from datetime import date

import msgspec
import pytest

from relance.rpc.checkout.v1 import law_pb2 as pb
from relance.rules.law.book import Rule, default_book
from relance.rules.law.terms import Unanswerable
from relance.rules.law.verdict import Finding
from services.checkout.api.law import _kind
from services.checkout.api.messages import read_checkout, read_day, to_finding, to_rule
from services.checkout.api.refusals import TEXT_MAX, invalid, no_rule

SEVERITIES = {pb.SEVERITY_BLOCK: "block", pb.SEVERITY_WARN: "warn", pb.SEVERITY_OUT: "out"}
APPLIES_BY = {pb.APPLIES_BY_CONTRACT: "contract", pb.APPLIES_BY_DISPLAY: "display", pb.APPLIES_BY_ACT: "act"}


def read_back(told: pb.Rule) -> Rule:
    """The rule that a client can make of a message."""
    head, validity = told.summary, told.summary.validity
    return msgspec.convert(
        {
            "id": head.id,
            "version": validity.version,
            "jurisdiction": told.jurisdiction,
            "title": head.title,
            "statement": told.statement,
            "sources": [{"code": one.code, "article": one.article, "url": one.url} for one in told.sources],
            "valid_from": validity.valid_from,
            "valid_to": validity.valid_to or None,
            "dated": "read" if told.dated else "known",
            "applies_by": APPLIES_BY[head.applies_by],
            "severity": SEVERITIES[head.severity],
            "reason": told.reason_out,
            "reading": {pb.READING_SETTLED: "settled", pb.READING_UNSETTLED: "U"}[told.reading],
            "evidence": told.evidence,
            "consequence": told.consequence,
            "parameters": {one.name: json.loads(one.value_json) for one in told.parameters},
            "parameter_articles": {one.name: one.article for one in told.parameters},
            "wordings": {
                one.name: {
                    "article": one.article,
                    "source": one.source,
                    "sha256": one.sha256 if one.HasField("sha256") else None,
                    "text": one.text if one.HasField("text") else None,
                }
                for one in told.wordings
            },
        },
        Rule,
    )


def test_every_rule_of_the_book_comes_back_whole() -> None:
    for rule in default_book().all():
        told = pb.Rule.FromString(to_rule(rule).SerializeToString())
        # Parameters are any values of YAML: a date among them travels as its text, a number as a key, too.
        plain = msgspec.structs.replace(rule, parameters=msgspec.to_builtins(rule.parameters, str_keys=True))
        assert read_back(told) == plain
        assert told.summary.article == rule.article


def test_a_finding_keeps_each_field() -> None:
    found = Finding(rule="A04", version=2, article="L221-14", field="recap.button.text", reason="is refused")
    told = to_finding(found)
    assert {field.name: value for field, value in told.ListFields()} == msgspec.structs.asdict(found)


def test_a_day_is_an_iso_date_or_none() -> None:
    assert read_day("", "on") is None
    assert read_day("2026-11-22", "on") == date(2026, 11, 22)


@pytest.mark.parametrize("text", ["2026-02-30", "22/11/2026", "2026-11-22T10:00:00Z", "20261122", "1899-12-31", "x"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(Unanswerable) as raised:
        read_day(text, "on")
    assert raised.value.field == "on"


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"", "checkout"),
        (b"\xff", "checkout"),
        (b"null", "checkout"),
        (b"{}", "checkout.at"),
        (b'{"at": "2026-11-22", "trader": {}, "legal": {}}', "checkout.at"),
        (b'{"at": "2026-11-22T10:00:00Z", "trader": {}, "legal": {}, "lines": [{"id": 1}]}', "checkout.lines[0]"),
    ],
)
def test_what_is_no_checkout_is_named_by_its_path(data: bytes, field: str) -> None:
    with pytest.raises(Unanswerable) as raised:
        read_checkout(data, "checkout")
    assert raised.value.field.startswith(field)


def test_what_a_caller_is_told_stays_short() -> None:
    long = "é" * 10_000
    for refused in (invalid(long, long), no_rule(long, long)):
        assert len(refused.text) == TEXT_MAX
        assert sum(detail.ByteSize() for detail in refused.details) < 4 * 2 * TEXT_MAX + 100


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        (b'{"ask": "totals"}', "totals"),
        (b'{"lines": [[[{}]]], "ask": "refund.due"}', "refund.due"),
        (b'{"ask": "weather"}', "none"),
        (b'{"ask": ["totals"]}', "none"),
        (b"{}", "none"),
        (b"[]", "none"),
        (b'{"ask": "totals"', "none"),
        (b'{"ask": "totals", "x": ' + b"[" * 100_000, "none"),
        (b"\xff", "none"),
    ],
)
def test_a_question_is_counted_under_its_kind(question: bytes, kind: str) -> None:
    assert _kind(question) == kind
