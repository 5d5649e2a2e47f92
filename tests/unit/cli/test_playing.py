"""Sending at the right time, and holding back when told to."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typing_extensions import override

from relance.cli.playing import Pace, Poster, Rejected, now_ms, play
from relance.kernel.errors import InputError, NotNow


class Script(ThreadingHTTPServer):
    """A server that gives prepared answers in turn, and notes what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.answers: list[tuple[int, dict[str, str], object]] = []
        self.bodies: list[list[dict[str, object]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Answering(BaseHTTPRequestHandler):
    server: Script

    def do_POST(self) -> None:
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        status, headers, body = self.server.answers.pop(0)
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Script]:
    server = Script()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def poster(server: Script) -> Iterator[Poster]:
    poster = Poster(server.url, "sk", patience_s=5)
    yield poster
    poster.close()


def test_a_request_is_sent_again_until_it_is_taken(server: Script, poster: Poster) -> None:
    server.answers = [
        (429, {"retry-after": "0.1"}, {"detail": "too fast"}),
        (503, {"retry-after": "0.1"}, {"detail": "full"}),
        (202, {}, {"accepted": 2, "rejected": []}),
    ]
    assert poster.post([b'{"id": "1"}', b'{"id": "2"}']).accepted == 2
    assert server.bodies == [[{"id": "1"}, {"id": "2"}]] * 3
    assert poster.held_back == 2


def test_rejected_events_are_told_with_place_and_reason(server: Script, poster: Poster) -> None:
    told = {"index": 1, "id": "2", "problems": [{"path": "data.items", "reason": "is no list"}]}
    server.answers = [(207, {}, {"accepted": 1, "rejected": [told]})]
    answer = poster.post([b'{"id": "1"}', b'{"id": "2"}'])
    assert (answer.accepted, answer.rejected) == (1, (Rejected(1, "2", "data.items: is no list"),))


def test_a_wrong_key_is_not_tried_again(server: Script, poster: Poster) -> None:
    server.answers = [(401, {}, {"detail": "this key is not known"})]
    with pytest.raises(InputError, match="says 401: this key is not known"):
        poster.post([b"{}"])


def test_patience_ends(server: Script) -> None:
    server.answers = [(503, {"retry-after": "60"}, {"detail": "full"})]
    poster = Poster(server.url, "sk", patience_s=1)
    with pytest.raises(NotNow, match="says 503: full"):
        poster.post([b"{}"])
    poster.close()


def test_nothing_is_sent_before_its_time_and_all_in_order() -> None:
    start_ms = now_ms() + 50
    times = [start_ms + 40 * step for step in range(5)]
    sent: list[tuple[int, bytes]] = []
    pace = Pace()
    timed = ((time_ms, str(number).encode()) for number, time_ms in enumerate(times))
    play(timed, lambda events: sent.extend((now_ms(), event) for event in events), pace, threading.Event())
    assert [event for _, event in sent] == [b"0", b"1", b"2", b"3", b"4"]
    assert all(at_ms >= time_ms for (at_ms, _), time_ms in zip(sent, times, strict=True))
    assert pace.sent == 5


def test_what_is_due_goes_together_within_the_limits_of_a_request() -> None:
    sizes: list[tuple[int, int]] = []
    events = [(0, b"x" * 10_000)] * 120 + [(0, b"y")] * 1_200
    pace = Pace()
    play(events, lambda batch: sizes.append((len(batch), sum(map(len, batch)))), pace, threading.Event())
    assert sum(count for count, _ in sizes) == 1_320
    assert max(count for count, _ in sizes) <= 500
    assert max(size for _, size in sizes) <= 524_288
    assert len(sizes) <= 7
    assert pace.behind_ms > 1_000


def test_stop_ends_waiting() -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    sent: list[bytes] = []
    play([(0, b"now"), (now_ms() + 3_600_000, b"in an hour")], sent.extend, Pace(), stop)
    assert sent == [b"now"]
