"""The format of `relance law ask`: one answer a line, whatever comes in."""

import io
import json
import random
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs, to_builtins

from relance.cli import main
from relance.rules.law.asks import Asked
from relance.rules.law.book import Book, default_book
from relance.rules.law.cases import read_bases
from relance.rules.law.questions import _ASKED, answer_line
from tests.unit.law.asking import TODAY, ask

SERVICE = {"id": "s", "kind": "service"}
CONCLUDED = "2026-04-10T10:00:00+02:00"
# One question of each kind that has an answer.
GIVEN: dict[str, dict[str, Any]] = {
    "withdrawal.deadline": {"concluded_at": CONCLUDED, "lines": [SERVICE], "informed": True},
    "withdrawal.decision": {
        "concluded_at": CONCLUDED,
        "lines": [SERVICE],
        "informed": {"at": "2026-04-12"},
        "stated_at": "2026-04-12T10:00:00Z",
    },
    "refund.amount": {
        "lines_minor": [5000],
        "delivery_paid_minor": 590,
        "modes": [{"id": "home", "fee_minor": 590, "standard": True}],
        "service": {"price_minor": 3000, "days": 30, "used_days": 3, "express_request": True},
    },
    "refund.due": {"notice_on": "2026-04-17", "shipped": True, "collection_offered": False},
    "refund.surcharge": {
        "regime": "withdrawal",
        "sum_minor": 10_000,
        "due_on": "2026-04-17",
        "refunded_on": "2026-04-20",
    },
    "delivery.latest": {"concluded_at": CONCLUDED, "promised_on": "2026-04-20"},
    "delivery.resolution": {
        "promised_on": "2026-04-17",
        "notice": {"at": "2026-04-18T10:00:00Z", "until": "2026-04-25"},
        "resolution_received_at": "2026-04-26T10:00:00Z",
    },
    "price.prior": {
        "prices": [{"from": "2026-01-01T00:00:00Z", "price_minor": 1000, "scope": "all", "campaign": "x"}],
        "reduction": {"from": "2026-04-17", "price_minor": 900, "campaign": "x"},
        "announced_percent": 10,
    },
    "button.check": {
        "accessible_name": "Payer",
        "language": "fr",
        "order": {"due_now_minor": 1, "due_later_minor": 0},
    },
    "checkout.check": {"checkout": {"at": "2026-11-22T10:00:00Z", "trader": {}, "legal": {}}},
    "consent.derive": {
        "contact_history": [{"event": "order.completed", "at": "2026-04-17T10:00:00Z", "anything": [1]}],
        "channel": "email",
        "purpose": "similar_goods",
        "at": "2026-05-17T10:00:00Z",
    },
    "archive.until": {"total_minor": 12_000, "concluded_on": "2026-04-17", "deliveries": ["2026-04-20"]},
    "renewal.window": {"refusal_until": "2026-11-30", "renews_on": "2026-12-31", "notice_sent_on": "2026-10-01"},
    "totals": {
        "lines": [{"unit_minor": 999, "quantity": 2, "vat_percent": 5.5}],
        "coupon": {"amount_minor": 100},
        "delivery": {"fee_minor": 490},
    },
}


def test_every_question_of_the_table_is_asked_here_and_has_its_answer() -> None:
    tags = {kind.__struct_config__.tag for kind in _ASKED}
    assert set(GIVEN) == tags
    assert all(issubclass(kind, Asked) for kind in _ASKED)


@pytest.mark.parametrize("question", GIVEN)
def test_an_answer_has_its_five_parts(question: str) -> None:
    found = ask(question, **GIVEN[question])
    assert set(found) == {"result", "rule", "article", "reading", "facts"}
    assert found["rule"] in {rule.id for rule in default_book().all()}
    assert found["reading"] in {"settled", "U"}
    assert found["article"]
    assert date.fromisoformat(found["facts"]["law_on"]) > date(2000, 1, 1)


@pytest.mark.parametrize("question", GIVEN)
def test_a_question_may_have_an_id_and_its_answer_repeats_it(question: str) -> None:
    assert ask(question, id="q-1", **GIVEN[question])["id"] == "q-1"
    assert ask(question, id=7, on="1990-01-01", **GIVEN[question])["id"] == 7


@pytest.mark.parametrize("question", sorted(set(GIVEN) - {"totals", "checkout.check"}))
def test_a_date_before_the_law_is_an_error_of_that_field(question: str) -> None:
    found = ask(question, on="1990-01-01", **GIVEN[question])
    assert found["field"] == "on"
    assert "not in force on 1990-01-01" in found["error"]


@pytest.mark.parametrize("question", GIVEN)
def test_a_missing_field_is_named(question: str) -> None:
    optional = {"service", "notice", "announced_percent", "notice_sent_on", "coupon", "delivery"}
    optional |= {"promised_on"} if question == "delivery.latest" else set()
    for name in GIVEN[question]:
        rest = {key: value for key, value in GIVEN[question].items() if key != name}
        found = ask(question, **rest)
        if name in optional:
            assert "result" in found
        else:
            assert found["field"].split(".")[0] == name


@pytest.mark.parametrize("question", GIVEN)
def test_an_unknown_field_is_named(question: str) -> None:
    if question != "checkout.check":
        assert ask(question, **GIVEN[question], recieved_at="x")["field"] == "recieved_at"


@pytest.mark.parametrize(
    ("question", "changed", "field"),
    [
        ("withdrawal.deadline", {"concluded_at": "2026-04-10T10:00:00"}, "concluded_at"),  # no zone
        ("withdrawal.deadline", {"concluded_at": "2026-04-10"}, "concluded_at"),
        ("withdrawal.deadline", {"concluded_at": 5}, "concluded_at"),
        ("withdrawal.deadline", {"concluded_at": "9999-12-31T23:59:59Z"}, "concluded_at"),
        ("withdrawal.deadline", {"lines": []}, "lines"),
        ("withdrawal.deadline", {"lines": [SERVICE, SERVICE]}, "lines[1].id"),
        ("withdrawal.deadline", {"lines": [SERVICE | {"kind": "thing"}]}, "lines[0].kind"),
        ("withdrawal.deadline", {"lines": [SERVICE | {"received_at": "x"}]}, "lines[0].received_at"),
        ("withdrawal.deadline", {"lines": [{"id": "g", "kind": "goods", "received_by": "x"}]}, "lines[0].received_by"),
        ("withdrawal.deadline", {"informed": "yes"}, "informed"),
        ("withdrawal.deadline", {"informed": {"at": "soon"}}, "informed.at"),
        ("withdrawal.decision", {"lines": [SERVICE | {"exception": 14}]}, "lines[0].exception"),
        ("withdrawal.decision", {"stated_at": None}, "stated_at"),
        ("refund.amount", {"lines_minor": [1, -1]}, "lines_minor[1]"),
        ("refund.amount", {"lines_minor": [1.5]}, "lines_minor[0]"),
        ("refund.amount", {"modes": [{"id": "a", "fee_minor": 1}]}, "modes[0].standard"),
        ("refund.due", {"notice_on": "2026-02-30"}, "notice_on"),
        ("refund.due", {"shipped": "yes"}, "shipped"),
        ("refund.surcharge", {"regime": "other"}, "regime"),
        ("refund.surcharge", {"sum_minor": "100"}, "sum_minor"),
        ("delivery.resolution", {"notice": {"at": "2026-04-18T10:00:00Z"}}, "notice.until"),
        ("price.prior", {"reduction": {"from": "x", "price_minor": 1}}, "reduction.from"),
        ("price.prior", {"announced_percent": 101}, "announced_percent"),
        ("button.check", {"order": {"due_now_minor": -1, "due_later_minor": 0}}, "order.due_now_minor"),
        ("checkout.check", {"checkout": {"at": "2026-11-22T10:00:00Z", "trader": 1}}, "checkout.trader"),
        ("consent.derive", {"contact_history": [{"event": "x"}]}, "contact_history[0].at"),
        ("consent.derive", {"at": "2026-05-17"}, "at"),
        ("archive.until", {"deliveries": ["2026-04-20", "x"]}, "deliveries[1]"),
        ("archive.until", {"concluded_on": "0001-01-01"}, "concluded_on"),
        ("totals", {"lines": [{"unit_minor": 1, "quantity": 0, "vat_percent": 20}]}, "lines[0].quantity"),
        ("totals", {"lines": [{"unit_minor": 1, "quantity": 1, "vat_percent": 200}]}, "lines[0].vat_percent"),
        ("totals", {"coupon": {}}, "coupon"),
        ("totals", {"on": "x"}, "on"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(question: str, changed: dict[str, Any], field: str) -> None:
    found = ask(question, **GIVEN[question] | changed)
    assert found["field"] == field, found
    assert set(found) == {"error", "field"}


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"", ""),
        (b"\n", ""),
        (b"nonsense", ""),
        (b"[]", ""),
        (b"null", ""),
        (b'"totals"', ""),
        (b"{}", "ask"),
        (b'{"ask": 5}', "ask"),
        (b'{"ask": "totals"', ""),
        (b'{"ask": "weather.tomorrow"}', "ask"),
        (b"\xff\xfe{}", ""),
        (b'{"ask": "totals", "lines": ' + b"[" * 100_000, ""),
    ],
)
def test_what_is_no_question_gets_an_error(line: bytes, field: str) -> None:
    found = json.loads(answer_line(line, default_book(), TODAY))
    assert (set(found), found["field"]) == ({"error", "field"}, field)


def test_the_law_asked_for_may_lie_in_the_future() -> None:
    found = ask("withdrawal.deadline", **GIVEN["withdrawal.deadline"], on="2030-01-01")
    assert found["facts"]["law_on"] == "2030-01-01"


def _book_with(id_: str, day: date, **parameters: Any) -> Book:
    """The book as it would be after an act changed a rule's parameters from `day` on."""
    rules = []
    for rule in default_book().all():
        if rule.id == id_ and rule.in_force(day):
            changed = rule.parameters | parameters
            rules.append(structs.replace(rule, valid_to=day))
            rules.append(structs.replace(rule, version=rule.version + 1, valid_from=day, parameters=changed))
        else:
            rules.append(rule)
    return Book(rules)


def test_a_rule_that_comes_into_force_needs_no_code() -> None:
    longer = _book_with("B01", date(2027, 3, 1), days=21)
    line = json.dumps({"ask": "withdrawal.deadline", **GIVEN["withdrawal.deadline"]}).encode()
    later = json.dumps({"ask": "withdrawal.deadline", **GIVEN["withdrawal.deadline"], "on": "2027-03-01"}).encode()
    found = [json.loads(answer_line(asked, longer, TODAY))["result"]["lines"]["s"] for asked in (line, later)]
    # 10 April 2026 and 14 days: Friday 24; and 21 days: 1 May, so Monday 4.
    assert [answer["last_day"] for answer in found] == ["2026-04-24", "2026-05-04"]


def test_a_half_year_that_is_entered_is_used_whatever_the_date_of_the_law() -> None:
    half = {"first": date(2026, 7, 1), "last": date(2026, 12, 31), "percent": "7.30"}
    entered = _book_with("B27", date(2026, 7, 1), half_years=[half])
    given = {"regime": "withdrawal", "sum_minor": 1_000_000, "due_on": "2026-06-29", "refunded_on": "2026-07-02"}
    found = json.loads(answer_line(json.dumps({"ask": "refund.surcharge", **given}).encode(), entered, TODAY))
    # a day at 6.67 %, two at 7.30 %: 1,000,000 x 21.27 / 36,500 = 582.7
    assert found["result"]["surcharge_minor"] == 583


def test_a_lawful_checkout_is_allowed_and_what_blocks_another_is_named() -> None:
    file = Path(__file__).parents[2] / "rules" / "bases.yaml"
    lawful = to_builtins(read_bases(file.read_text(encoding="utf-8"), file.name, default_book())["goods"])
    assert ask("checkout.check", checkout=lawful)["result"]["blockers"] == []
    assert ask("checkout.check", **lawful)["result"]["allowed"] is True
    silent = lawful | {"trader": lawful["trader"] | {"phone": ""}}
    found = ask("checkout.check", checkout=silent)
    assert found["result"]["allowed"] is False
    first = found["result"]["blockers"][0]
    assert (found["rule"], first["field"].split(".")[0]) == (first["rule"], "trader")


def test_a_bare_number_is_an_amount() -> None:
    lines = [{"id": "a", "unit_minor": 1000, "quantity": 1, "vat_percent": 20}]
    found = ask("totals", lines=lines, coupon=100, delivery=490)
    assert found["result"] == {"lines": [{"id": "a", "net_minor": 900}], "vat": {"20": 232}, "total_minor": 1390}


def _leaf(draw: random.Random) -> Any:
    day = date.fromordinal(draw.randrange(date(1, 1, 1).toordinal(), date(9999, 12, 31).toordinal()))
    instant = f"{day}T{draw.randrange(24):02}:{draw.randrange(60):02}:00{draw.choice(['Z', '+02:00', '-11:30', ''])}"
    numbers = [0, 1, -1, 13, 14, 2**31, 2**53, 2**53 + 1, 2**70, 0.5, 1e300, 19.99]
    words = ["", "a", "goods", "email", "phone", "relay", "all", "withdrawal", "\u0000", "é" * 50, "consent.changed"]
    return draw.choice([None, True, False, [], {}, str(day), instant, draw.choice(numbers), draw.choice(words)])


def _shaken(draw: random.Random, value: Any) -> Any:
    """The value with some parts replaced, left out, doubled or wrapped."""
    if draw.random() < 0.08:
        return _leaf(draw)
    if isinstance(value, dict):
        kept = {key: _shaken(draw, item) for key, item in value.items() if draw.random() > 0.05}
        return kept | ({draw.choice(["id", "on", "x", "channel"]): _leaf(draw)} if draw.random() < 0.1 else {})
    if isinstance(value, list):
        return [_shaken(draw, item) for item in value * draw.choice([0, 1, 1, 1, 2])]
    if isinstance(value, str) and value[:2] == "20" and draw.random() < 0.5:
        day = date.fromordinal(draw.randrange(date(2015, 1, 1).toordinal(), date(2040, 1, 1).toordinal()))
        return str(day) + value[10:]
    if isinstance(value, int) and not isinstance(value, bool) and draw.random() < 0.5:
        return draw.randrange(100_000)
    return value


def test_a_thousand_random_questions_each_get_one_line() -> None:
    seed = random.randrange(10**9)
    draw = random.Random(seed)
    answered = 0
    for _ in range(1000):
        question = draw.choice(list(GIVEN))
        shaken = {name: _shaken(draw, value) for name, value in GIVEN[question].items() if draw.random() > 0.02}
        line = json.dumps({"ask": question} | shaken).encode()
        try:
            found = json.loads(answer_line(line, default_book(), TODAY))
        except Exception:
            print(f"seed {seed}: {line!r}")  # noqa: T201 - what to run again
            raise
        answered += "result" in found
        assert {"error", "field"} <= set(found) or {"result", "rule", "article", "reading", "facts"} <= set(found)
    assert answered > 100, f"seed {seed}"


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_any_bytes_get_one_line(line: bytes) -> None:
    found = answer_line(line, default_book(), TODAY)
    assert b"\n" not in found
    assert "error" in json.loads(found)


def test_the_command_answers_line_by_line(monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> None:
    lines = [json.dumps({"ask": question, "id": question} | given) for question, given in GIVEN.items()]
    text = "\n".join([lines[0], "nonsense", "", *lines[1:]])  # the last line has no end
    monkeypatch.setattr(sys, "argv", ["relance", "law", "ask"])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert main() == 0
    found = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert [answer.get("id", answer.get("field")) for answer in found] == [next(iter(GIVEN)), "", "", *list(GIVEN)[1:]]
    assert all("result" in answer for answer in found if answer.get("id"))


def test_questions_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, capfdbinary: Any, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(json.dumps({"ask": "totals", "id": 1, **GIVEN["totals"]}) + "\nnonsense\n")
    monkeypatch.setattr(sys, "argv", ["relance", "law", "ask", str(file)])
    assert main() == 0
    first, second = (json.loads(line) for line in capfdbinary.readouterr().out.splitlines())
    assert first["id"] == 1
    assert "error" in second
    monkeypatch.setattr(sys, "argv", ["relance", "law", "ask", str(tmp_path / "none.jsonl")])
    assert main() == 2
    assert capfdbinary.readouterr().err.decode().splitlines() == [
        f"error: {tmp_path}/none.jsonl: No such file or directory"
    ]


def test_a_line_longer_than_any_question_is_passed_over(monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> None:
    monkeypatch.setattr("relance.cli.law_ask.LINE_BYTES_MAX", 300)
    long, short = '{"ask": "' + "x" * 1000 + '"}', json.dumps({"ask": "totals", **GIVEN["totals"]})
    monkeypatch.setattr(sys, "argv", ["relance", "law", "ask"])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{long}\n{short}\n".encode())))
    assert main() == 0
    first, second = (json.loads(line) for line in capfdbinary.readouterr().out.splitlines())
    assert "error" in first
    assert second["result"]["total_minor"] == 1998 - 100 + 490


def test_instants_are_told_with_the_offset_of_paris() -> None:
    found = ask("withdrawal.deadline", **GIVEN["withdrawal.deadline"])
    ends_at = datetime.fromisoformat(found["result"]["lines"]["s"]["ends_at"])
    assert (ends_at.isoformat(), found["result"]["lines"]["s"]["last_day"]) == (
        "2026-04-25T00:00:00+02:00",
        "2026-04-24",
    )
