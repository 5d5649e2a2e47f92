"""The checkout service's `LawService`, asked as a shop or a lawyer would ask the running process."""

import asyncio
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import grpc
import httpx
import msgspec
import pytest
from google.rpc.error_details_pb2 import BadRequest, ResourceInfo  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from relance.rpc.checkout.v1 import law_pb2 as pb
from relance.rpc.checkout.v1.law_pb2_grpc import LawServiceStub
from relance.rules.law.book import RULES, default_book
from relance.rules.law.cases import read_bases
from relance.rules.law.questions import KINDS, answer_line
from tests.integration.conftest import ROOT, Completed, Running
from tests.unit.law.asking import TODAY
from tests.unit.law.test_questions import GIVEN

BASES = ROOT / "tests" / "rules" / "bases.yaml"
GOODS = read_bases(BASES.read_text(encoding="utf-8"), BASES.name, default_book())["goods"]
# Each with the date of the law, so that no answer depends on today.
LINES = [json.dumps({"ask": kind, "id": kind, "on": "2026-11-22"} | given).encode() for kind, given in GIVEN.items()]
WRONG = [b"", b"nonsense", b"[]", b"{}", b"\xff\xfe", b'{"ask": "weather"}', b'{"ask": "totals", "id": 3, "lines": []}']


class Service:
    """A running checkout service and its addresses."""

    def __init__(self, running: Running) -> None:
        self.running = running
        running.until_said('"listening"', 60)
        line = next(line for line in running.said().splitlines() if '"listening"' in line)
        self.listening = json.loads(line)
        self.grpc = f"127.0.0.1:{self.listening['grpc']}"
        self.inside = f"http://127.0.0.1:{self.listening['metrics']}"

    def shown(self, path: str) -> str:
        """What it answers to who looks after it."""
        return httpx.get(f"{self.inside}/{path}").text

    def metric(self, sample: str) -> float:
        """The value of a sample, 0 when there is none yet."""
        text = self.shown("metrics")
        return sum(float(value) for value in re.findall(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE))


def start(log: Path, **settings: str) -> Running:
    """A process of the checkout service; `settings` without their prefix."""
    own = {"GRPC_PORT": "0", "METRICS_PORT": "0"} | settings
    variables = {f"RELANCE_CHECKOUT_{name}": value for name, value in own.items()}
    return Running("checkout", [sys.executable, "-m", "services.checkout"], os.environ | variables, log)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = start(tmp_path_factory.mktemp("checkout") / "checkout.log")
    try:
        yield Service(running)
        assert running.end() == 0
    finally:
        running.kill()


@pytest.fixture
async def stub(service: Service) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(service.grpc, [("grpc.max_send_message_length", -1)]) as channel:
        yield LawServiceStub(channel)


def details(error: grpc.aio.AioRpcError, kind: Any) -> Any:
    status = rpc_status.from_call(error)
    assert status is not None
    found = kind()
    assert any(detail.Unpack(found) for detail in status.details)
    return found


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value


@pytest.mark.parametrize("line", [*LINES, *WRONG], ids=[*GIVEN, *(f"wrong-{number}" for number in range(len(WRONG)))])
async def test_ask_answers_as_the_command_does(stub: Any, line: bytes) -> None:
    answer = (await stub.Ask(pb.AskRequest(question=line), timeout=20)).answer
    assert answer == answer_line(line, default_book(), TODAY)
    assert ("error" in json.loads(answer)) == (line in WRONG)


async def test_a_large_question_is_answered_while_others_are(stub: Any) -> None:
    lines = [{"id": number, "kind": "goods", "received_at": "2026-04-17T12:00:00+02:00"} for number in range(1_000)]
    large = json.dumps({"ask": "withdrawal.deadline", "concluded_at": "2026-04-10T10:00:00+02:00",
                        "informed": True, "lines": lines}).encode()  # fmt: skip
    assert len(large) > 32_768
    asked = [stub.Ask(pb.AskRequest(question=question), timeout=30) for question in [large, large, *LINES]]
    answers = [reply.answer for reply in await asyncio.gather(*asked)]
    assert answers == [answer_line(question, default_book(), TODAY) for question in [large, large, *LINES]]


async def test_the_longest_history_is_answered_in_time(stub: Any) -> None:
    """10,000 purchases without an objection offered: each sale is held against each collection of the contact."""
    history = [{"event": "purchase", "at": f"2026-01-{1 + number % 28:02}T10:00:00Z"} for number in range(10_000)]
    question = {"ask": "consent.derive", "contact_history": history, "channel": "email", "purpose": "similar_goods",
                "at": "2026-05-01T10:00:00Z"}  # fmt: skip
    answer = (await stub.Ask(pb.AskRequest(question=json.dumps(question).encode()), timeout=9)).answer
    assert json.loads(answer)["result"] == {"allowed": False, "basis": None, "rule": "E02"}


def test_the_command_lets_the_service_answer(service: Service, relance: Callable[..., Completed]) -> None:
    text = b"\n".join([*LINES, b"nonsense", b""]).decode()
    near = relance("law", "ask", stdin=text)
    far = relance("law", "ask", "--server", service.grpc, stdin=text)
    assert (far.returncode, far.stdout, far.stderr) == (0, near.stdout, "")
    assert len(far.stdout.splitlines()) == len(LINES) + 1


def test_the_command_says_when_no_service_answers(
    relance: Callable[..., Completed], free_port: Callable[[], int]
) -> None:
    address = f"127.0.0.1:{free_port()}"
    found = relance("law", "ask", "--server", address, stdin="{}\n")
    assert (found.returncode, found.stdout) == (1, "")
    assert address in found.stderr
    assert len(found.stderr.splitlines()) == 1


async def test_check_says_what_blocks_and_where(stub: Any) -> None:
    lawful = await stub.Check(pb.CheckRequest(checkout=msgspec.json.encode(GOODS)), timeout=20)
    assert (lawful.allowed, list(lawful.blockers), lawful.law_on) == (True, [], "2026-11-22")
    changed = msgspec.json.encode(GOODS | {"recap": GOODS["recap"] | {"button": {"text": "Valider"}}})
    unlawful = await stub.Check(pb.CheckRequest(checkout=changed), timeout=20)
    assert not unlawful.allowed
    first = unlawful.blockers[0]
    assert (first.rule, first.field, first.article[:7]) == ("A04", "recap.button.text", "L221-14")
    assert first.reason
    later = await stub.Check(pb.CheckRequest(checkout=msgspec.json.encode(GOODS), on="2027-09-01"), timeout=20)
    assert (later.law_on, "G16" in {found.rule for found in later.blockers}) == ("2027-09-01", True)


@pytest.mark.parametrize(
    ("checkout", "on", "field"),
    [
        (b"", "", "checkout"),
        (b"{", "", "checkout"),
        (b"[" * 100_000, "", "checkout"),
        (b"[]", "", "checkout"),
        (msgspec.json.encode(GOODS | {"trader": 1}), "", "checkout.trader"),
        (msgspec.json.encode(GOODS | {"colour": "red"}), "", "checkout.colour"),
        (msgspec.json.encode(GOODS | {"x" * 100_000: "red"}), "", "checkout.xxx"),
        (msgspec.json.encode(GOODS), "2026-02-30", "on"),
        (msgspec.json.encode(GOODS), "tomorrow", "on"),
        (msgspec.json.encode(GOODS), "0001-01-01", "on"),
    ],
)
async def test_what_is_no_checkout_is_refused_with_its_field(stub: Any, checkout: bytes, on: str, field: str) -> None:
    error = await refused(stub.Check(pb.CheckRequest(checkout=checkout, on=on), timeout=20))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    violation = details(error, BadRequest).field_violations[0]
    assert violation.field.startswith(field)
    assert violation.description


async def test_explain_shows_a_rule_with_its_texts_and_versions(stub: Any) -> None:
    reply = await stub.Explain(pb.ExplainRequest(rule="b11", on="2026-11-22"), timeout=20)
    wanted = default_book().rule("B11", date(2026, 11, 22))
    form = next(one for one in reply.rule.wordings if one.name == "form")
    assert (form.sha256, form.text) == (wanted.wordings["form"].sha256, wanted.wordings["form"].text)
    assert [source.article for source in reply.rule.sources] == [source.article for source in wanted.sources]
    assert {one.name: json.loads(one.value_json) for one in reply.rule.parameters} == wanted.parameters
    other = await stub.Explain(pb.ExplainRequest(rule="A23", on="2026-09-26"), timeout=20)
    assert other.rule.summary.validity.version == 1
    assert [version.version for version in other.versions] == [1, 2]


@pytest.mark.parametrize(
    ("rule", "on", "said"),
    [
        ("Z99", "", "there is no rule 'Z99'"),
        ("B05", "2026-01-01", "B05 is not in force on 2026-01-01: version 1 from 2026-06-19 on"),
        ("é" * 5_000, "", "there is no rule"),
    ],
)
async def test_an_unknown_rule_and_one_not_in_force_are_not_found(stub: Any, rule: str, on: str, said: str) -> None:
    error = await refused(stub.Explain(pb.ExplainRequest(rule=rule, on=on), timeout=20))
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert said in str(error.details())
    assert details(error, ResourceInfo).resource_type == "rule"


async def test_a_rule_is_to_be_named_and_a_severity_to_be_known(stub: Any) -> None:
    # Field 2, severity, is 99: what a later version may know.
    nameless = await refused(stub.Explain(pb.ExplainRequest(), timeout=20))
    unknown = await refused(stub.ListRules(pb.ListRulesRequest.FromString(b"\x10\x63"), timeout=20))
    for error, field in ((nameless, "rule"), (unknown, "severity")):
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert [one.field for one in details(error, BadRequest).field_violations] == [field]


@pytest.mark.parametrize(("day", "listed"), [("2026-06-18", False), ("2026-06-19", True)])
async def test_the_rules_of_a_day_are_listed(stub: Any, day: str, listed: bool) -> None:  # noqa: FBT001 - a case
    reply = await stub.ListRules(pb.ListRulesRequest(on=day, severity=pb.SEVERITY_BLOCK), timeout=20)
    assert reply.law_on == day
    assert {rule.severity for rule in reply.rules} == {pb.SEVERITY_BLOCK}
    assert ("B05" in {rule.id for rule in reply.rules}) == listed
    whole = await stub.ListRules(pb.ListRulesRequest(on=day), timeout=20)
    assert [rule.id for rule in whole.rules] == list(default_book().on(date.fromisoformat(day)))


async def test_a_message_of_64_mb_is_refused_and_the_service_lives(stub: Any) -> None:
    error = await refused(stub.Ask(pb.AskRequest(question=bytes(64_000_000)), timeout=60))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await stub.Ask(pb.AskRequest(question=LINES[0]), timeout=20)).answer


async def test_what_is_asked_is_counted_by_kind_and_result(stub: Any, service: Service) -> None:
    def count(ask: str, result: str) -> float:
        return service.metric(f'relance_checkout_law_questions_total{{ask="{ask}",result="{result}"}}')

    asked = [("totals", "answered"), ("totals", "refused"), ("none", "refused")]
    before = [count(*labels) for labels in asked]
    calls = service.metric('relance_checkout_law_calls_total{method="Ask",status="OK"}')
    for question in (LINES[list(GIVEN).index("totals")], b'{"ask": "totals"}', b'{"ask": "weather"}'):
        await stub.Ask(pb.AskRequest(question=question), timeout=20)
    assert [count(*labels) for labels in asked] == [value + 1 for value in before]
    assert service.metric('relance_checkout_law_calls_total{method="Ask",status="OK"}') == calls + 3
    assert service.metric('relance_checkout_law_seconds_count{method="Ask"}') >= calls + 3
    assert "weather" not in service.shown("metrics")


async def test_it_says_that_it_is_well(service: Service) -> None:
    assert service.listening["rules"] > 100
    for path in ("live", "ready"):
        assert json.loads(service.shown(f"health/{path}"))["status"] == "ok"
    async with grpc.aio.insecure_channel(service.grpc) as channel:
        asked = health_pb2.HealthCheckRequest(service="relance.rpc.checkout.v1.LawService")
        reply = await health_pb2_grpc.HealthStub(channel).Check(asked, timeout=20)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


async def test_sigterm_ends_it_in_order_while_it_is_asked(tmp_path: Path) -> None:
    running = start(tmp_path / "ending.log")
    try:
        service = Service(running)
        async with grpc.aio.insecure_channel(service.grpc) as channel:
            stub: Any = LawServiceStub(channel)
            await stub.Ask(pb.AskRequest(question=LINES[0]), timeout=20)
            asked = [asyncio.ensure_future(stub.Ask(pb.AskRequest(question=LINES[0]), timeout=20)) for _ in range(50)]
            ending = asyncio.create_task(asyncio.to_thread(running.end))
            replies = await asyncio.gather(*asked, return_exceptions=True)
            assert await ending == 0
    finally:
        running.kill()
    # Each was answered whole, or was not taken at all: gRPC says CANCELLED of those that had come in and not begun.
    codes = {reply.code() for reply in replies if isinstance(reply, grpc.aio.AioRpcError)}
    assert codes <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    answers = {reply.answer for reply in replies if not isinstance(reply, BaseException)}
    assert answers <= {answer_line(LINES[0], default_book(), TODAY)}
    assert [name for name in ("say_not_serving", "answer_the_last") if f'"{name}"' not in running.said()] == []


def broken_rule(directory: Path) -> str:
    """A rule without a title; returns what is said of it."""
    changed(directory, "  title: Delivery on the date, thirty days at most\n", "")
    return "delivery.yaml:3: "


def rule_without_meaning(directory: Path) -> str:
    """A rule that is to block, and that no function enforces."""
    changed(directory, "- id: C01\n", "- id: Z98\n")
    return "rule Z98 is to block, and nothing here knows its meaning"


def changed(directory: Path, before: str, after: str) -> None:
    file = directory / "fr" / "delivery.yaml"
    text = file.read_text(encoding="utf-8")
    assert before in text
    file.write_text(text.replace(before, after, 1), encoding="utf-8")


def no_rules(directory: Path) -> str:
    """A directory that is empty."""
    shutil.rmtree(directory)
    directory.mkdir()
    return "codes.yaml"


@pytest.mark.parametrize("spoil", [broken_rule, rule_without_meaning, no_rules])
def test_a_broken_book_ends_the_start_with_one_line(tmp_path: Path, spoil: Callable[[Path], str]) -> None:
    book = tmp_path / "law"
    shutil.copytree(RULES, book)
    said = spoil(book)
    running = start(tmp_path / "broken.log", RULES=str(book))
    assert running.process.wait(60) == 2
    assert len(running.said().splitlines()) == 1
    assert said in running.said()


@pytest.mark.parametrize(("setting", "value"), [("GRPC_PORT", "70000"), ("DRAIN_S", "soon"), ("LOG_LEVEL", "loud")])
def test_a_wrong_setting_ends_the_start_with_one_line(tmp_path: Path, setting: str, value: str) -> None:
    running = start(tmp_path / "wrong.log", **{setting: value})
    assert running.process.wait(60) == 2
    assert len(running.said().splitlines()) == 1
    assert f"RELANCE_CHECKOUT_{setting}" in running.said()


def test_a_port_that_is_taken_ends_the_start_with_one_line(service: Service, tmp_path: Path) -> None:
    for setting in ("GRPC_PORT", "METRICS_PORT"):
        port = str(service.listening[setting.removesuffix("_PORT").lower()])
        running = start(tmp_path / f"{setting}.log", **{setting: port})
        assert running.process.wait(60) == 2
        assert f"cannot listen on 127.0.0.1:{port}" in running.said()


def test_every_kind_of_question_is_asked_here() -> None:
    assert set(GIVEN) == set(KINDS)
