"""gRPC `LawService`: a question is read, the book answers, the answer is written. Nothing is decided here."""

import asyncio
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, Final, TypeVar

import grpc
import msgspec
from typing_extensions import override

from relance.observability import logs
from relance.rpc.checkout.v1 import law_pb2 as pb
from relance.rpc.checkout.v1 import law_pb2_grpc
from relance.rules.law.book import Book, NotInForce
from relance.rules.law.calendar import paris_date
from relance.rules.law.questions import KINDS, answer_line
from relance.rules.law.terms import Unanswerable
from relance.rules.law.verdict import check
from services.checkout.api.messages import (
    SEVERITIES,
    read_checkout,
    read_day,
    to_finding,
    to_rule,
    to_summary,
    to_validity,
)
from services.checkout.api.refusals import Refused, abort, invalid, no_rule
from services.checkout.metrics import LawMetrics

__all__ = ["LawServicer"]

Context = Any  # grpc.aio.ServicerContext, whose type parameters differ from call to call
T = TypeVar("T")

_LARGE_BYTES: Final = 32_768  # what is larger could hold the event loop for long, so a thread answers it
_THREADS: Final = 2
_SEVERITY_NAMES: Final = {number: name for name, number in SEVERITIES.items()}


class _Asked(msgspec.Struct):
    ask: Any = None


class _Answered(msgspec.Struct):
    error: Any = None


class LawServicer(law_pb2_grpc.LawServiceServicer):
    """Answers out of one book. `today` says the Paris date; a call takes at most `deadline_s`."""

    def __init__(self, book: Book, today: Callable[[], date], metrics: LawMetrics, deadline_s: float) -> None:
        self._book = book
        self._today = today
        self._metrics = metrics
        self._deadline_s = deadline_s
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="law")
        self._log = logs.logger("law")

    def close(self) -> None:
        """End the threads once the last answer is made; what still waits for one is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @override
    async def Ask(self, request: pb.AskRequest, context: Context) -> pb.AskResponse:
        """One question."""
        return await self._answered("Ask", context, len(request.question), lambda: self._ask(request.question))

    @override
    async def Check(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:
        """A checkout held against the law."""
        return await self._answered("Check", context, len(request.checkout), lambda: self._check(request))

    @override
    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:
        """One rule."""
        return await self._answered("Explain", context, 0, lambda: self._explain(request))

    @override
    async def ListRules(self, request: pb.ListRulesRequest, context: Context) -> pb.ListRulesResponse:
        """The rules of a day."""
        return await self._answered("ListRules", context, 0, lambda: self._list(request))

    # -- the answers ------------------------------------------------------------------------------------------------

    def _ask(self, question: bytes) -> pb.AskResponse:
        answer = answer_line(question, self._book, self._today())
        refused = msgspec.json.decode(answer, type=_Answered).error is not None
        self._metrics.questions.labels(_kind(question), "refused" if refused else "answered").inc()
        return pb.AskResponse(answer=answer)

    def _check(self, request: pb.CheckRequest) -> pb.CheckResponse:
        on = read_day(request.on, "on")
        document = read_checkout(request.checkout, "checkout")
        verdict = check(document, self._book, on)
        return pb.CheckResponse(
            allowed=verdict.allowed,
            blockers=[to_finding(found) for found in verdict.blockers],
            warnings=[to_finding(found) for found in verdict.warnings],
            law_on=(on or paris_date(document.at)).isoformat(),
        )

    def _explain(self, request: pb.ExplainRequest) -> pb.ExplainResponse:
        if not request.rule:
            raise invalid("rule", "the id of a rule is needed, for example B01")
        day = read_day(request.on, "on") or self._today()
        name = request.rule.upper()
        try:
            rule = self._book.rule(name, day)
        except NotInForce as error:
            raise no_rule(name, str(error)) from None
        return pb.ExplainResponse(
            rule=to_rule(rule), versions=[to_validity(version) for version in self._book.versions(name)]
        )

    def _list(self, request: pb.ListRulesRequest) -> pb.ListRulesResponse:
        day = read_day(request.on, "on") or self._today()
        if request.severity and request.severity not in _SEVERITY_NAMES:
            raise invalid("severity", f"there is no severity {request.severity}")
        wanted = _SEVERITY_NAMES.get(request.severity)
        rules = [rule for rule in self._book.on(day).values() if wanted is None or rule.severity == wanted]
        return pb.ListRulesResponse(rules=[to_summary(rule) for rule in rules], law_on=day.isoformat())

    # -- around each of them ----------------------------------------------------------------------------------------

    async def _answered(self, method: str, context: Context, size_bytes: int, work: Callable[[], T]) -> T:
        """What `work` returns, or the end of the call."""
        began_s = time.perf_counter()
        try:
            answer = await self._worked(size_bytes, work)
        except Refused as error:
            refused = error
        except Unanswerable as error:
            refused = invalid(error.field, error.reason)
        except TimeoutError:
            reason = f"no answer within {self._deadline_s:g} s"
            refused = Refused(grpc.StatusCode.DEADLINE_EXCEEDED, reason)
        except Exception as error:  # noqa: BLE001 - one question must not end the answers to the others
            # Where, and not the error's text, which may quote the question.
            trace = traceback.format_tb(error.__traceback__)
            self._log.error("defect", method=method, error=type(error).__name__, trace=trace)
            refused = Refused(grpc.StatusCode.INTERNAL, "a defect of this service, noted in its log")
        else:
            self._count(method, grpc.StatusCode.OK, began_s)
            return answer
        self._count(method, refused.code, began_s)
        return await abort(context, refused)

    async def _worked(self, size_bytes: int, work: Callable[[], T]) -> T:
        if size_bytes <= _LARGE_BYTES:
            return work()
        async with asyncio.timeout(self._deadline_s):
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _count(self, method: str, code: grpc.StatusCode, began_s: float) -> None:
        self._metrics.calls.labels(method, code.name).inc()
        self._metrics.seconds.labels(method).observe(time.perf_counter() - began_s)


def _kind(question: bytes) -> str:
    """What is asked, "none" for what is no question: a label has few values."""
    try:
        asked = msgspec.json.decode(question, type=_Asked).ask
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "none"
    return asked if isinstance(asked, str) and asked in KINDS else "none"
