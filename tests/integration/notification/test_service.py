"""The service as a process, on a real broker: from a record to a mailbox and back, also when it is killed."""

import contextlib
import json
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from relance.events.messages import Document, MessageOutcome, MessageRequest, decode_outcome, encode
from relance.events.topics import MESSAGES, NOTIFICATION_DEAD_LETTERS, OUTCOMES
from relance.kafka import local
from relance.kafka.admin import ensure_topics
from relance.kafka.consumer import BatchConsumer, consumer_config, read_all
from tests.integration.conftest import Running, answers
from tests.integration.notification.mail_kit import PDF, MailServer, Shelf, Taken, dsn, house, make_request

pytestmark = pytest.mark.kafka
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of these tests alone: the service hears a topic whose name is fixed."""
    home = tmp_path_factory.mktemp("broker")
    bootstrap = local.start(home).bootstrap
    ensure_topics(bootstrap, topics=(MESSAGES, OUTCOMES, NOTIFICATION_DEAD_LETTERS))
    yield bootstrap
    local.stop(home)


class Post:
    """A notification process and all that is around it."""

    def __init__(self, broker: str, place: Path, server: MailServer, checkout: str, database: str) -> None:
        self.broker = broker
        self.place = place
        self.server = server
        self.environ = house(place) | {
            "RELANCE_KAFKA": broker,
            "RELANCE_NOTIFICATION_DATABASE": database,
            "RELANCE_NOTIFICATION_GROUP": f"notification-{uuid4().hex[:8]}",
            "RELANCE_NOTIFICATION_METRICS_PORT": "0",
            "RELANCE_NOTIFICATION_SMTP_PORT": str(server.port),
            "RELANCE_NOTIFICATION_CHECKOUT": checkout,
            "RELANCE_NOTIFICATION_CHECKOUT_TOKEN": "token",
            "RELANCE_NOTIFICATION_BOUNCES": str(place / "bounces"),
            "RELANCE_NOTIFICATION_SMTP_ANSWER_S": "1",
            "RELANCE_NOTIFICATION_UNCERTAIN_S": "1",
            "RELANCE_NOTIFICATION_CLAIM_S": "2",
            "RELANCE_NOTIFICATION_DEFERRED_S": "0.5",
            "RELANCE_NOTIFICATION_AWAY_S": "0.2",
            "RELANCE_NOTIFICATION_POLL_S": "0.1",
        }
        self._begin_at_the_end()
        self._count = 0
        self.running: Running | None = None

    def _begin_at_the_end(self) -> None:
        """What other tests have asked for is not ours."""
        consumer = BatchConsumer(consumer_config(self.broker, self.environ["RELANCE_NOTIFICATION_GROUP"]))
        ends = consumer.ends(consumer.partitions(MESSAGES.name))
        consumer.commit({place: end for place, (_, end) in ends.items()})
        consumer.close()

    def start(self) -> Running:
        self._count += 1
        log = self.place / f"{self._count}.log"
        command = [sys.executable, "-m", "services.notification"]
        self.running = Running("notification", command, os.environ | self.environ, log)
        return self.running

    def ask(self, *values: MessageRequest | bytes) -> None:
        producer = Producer({"bootstrap.servers": self.broker, "log_level": 0})
        for value in values:
            raw = value if isinstance(value, bytes) else encode(value)
            key = b"" if isinstance(value, bytes) else str(value.order_id).encode()
            producer.produce(MESSAGES.name, raw, key)
        assert producer.flush(30) == 0

    def outcomes(self, requests: set[object]) -> list[MessageOutcome]:
        found = [decode_outcome(record.value()) for record in read_all(self.broker, OUTCOMES.name)]
        return [each for each in found if each.request_id in requests]

    def report_each(self, message: Taken) -> None:
        """What the server has taken it reports into the maildir, as one that offers DSN does."""
        name = f"{time.time_ns()}.report"
        (self.place / "bounces/tmp" / name).write_bytes(dsn(message.return_path, "relayed", "2.0.0"))
        (self.place / "bounces/tmp" / name).rename(self.place / "bounces/new" / name)

    def metrics(self) -> str:
        assert self.running is not None
        line = next(json.loads(each) for each in self.running.said().splitlines() if '"sending"' in each)
        return f"http://127.0.0.1:{line['metrics']}"


OpenPost = Callable[[str], Post]


@pytest.fixture
def open_post(broker: str, tmp_path: Path, server: MailServer, shelves: tuple[Shelf, str]) -> Iterator[OpenPost]:
    """Makes a post with the database at a URL, a file of its own for none."""
    made: list[Post] = []

    def make(database: str) -> Post:
        url = database or f"sqlite:///{tmp_path}/post.db"
        made.append(Post(broker, tmp_path / "post", server, shelves[1], url))
        return made[-1]

    yield make
    for post in made:
        if post.running is not None:
            post.running.kill()


@pytest.fixture
def post(open_post: OpenPost) -> Post:
    return open_post("")


def until(holds: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
    end_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end_s, what
        time.sleep(0.1)


def test_from_a_record_to_the_mailbox_and_the_outcome(
    open_post: OpenPost, database_url: str, server: MailServer, shelf: Shelf
) -> None:
    post = open_post(database_url)
    confirmation = make_request(
        "order.confirmation", documents=(Document(name="confirmation.pdf", sha256=shelf.put(PDF)),)
    )
    refused = make_request(to="nobody@example.com")
    server.script = lambda stage, name: (
        "550 5.1.1 no such user" if stage == "rcpt" and name.startswith("nobody") else None
    )
    running = post.start()
    running.until(lambda: '"sending"' in running.said(), "listening", 60)
    post.ask(b"{", confirmation, refused, confirmation)
    ids: set[object] = {confirmation.id, refused.id}
    until(lambda: len(post.outcomes(ids)) == 2, "two outcomes")
    assert {each.request_id: each.outcome for each in post.outcomes(ids)} == {
        confirmation.id: "accepted", refused.id: "bounced",
    }  # fmt: skip
    assert [each.request for each in server.messages] == [confirmation.id]
    (attached,) = server.messages[0].message.iter_attachments()
    assert attached.get_content() == PDF
    letters = [record for record in read_all(post.broker, NOTIFICATION_DEAD_LETTERS.name) if record.value() == b"{"]
    assert "not a message request" in dict(letters[-1].headers())["reason"].decode()
    assert answers(f"{post.metrics()}/health/ready")
    # A report that comes into the maildir bounces what was accepted.
    name = post.place / "bounces/new/1.report"
    name.write_bytes(dsn(server.messages[0].return_path, "failed", "5.1.1"))
    until(lambda: len(post.outcomes(ids)) == 3, "the bounce")
    assert post.outcomes({confirmation.id})[-1].outcome == "bounced"
    assert running.end() == 0
    said = running.said()
    assert confirmation.to not in said
    assert "D-1001" not in said


def test_what_is_under_way_at_the_end_is_finished(post: Post, server: MailServer) -> None:
    server.pause_s = 0.6
    requests = [make_request(to=f"a@example{n}.com") for n in range(4)]
    running = post.start()
    running.until(lambda: '"sending"' in running.said(), "listening", 60)
    post.ask(*requests)
    until(lambda: server.messages, "the first message")
    assert running.end() == 0
    server.pause_s = 0.0
    again = post.start()
    again.until(lambda: '"sending"' in again.said(), "listening", 60)
    ids: set[object] = {each.id for each in requests}
    until(lambda: len(post.outcomes(ids)) == 4, "four outcomes")
    assert again.end() == 0
    assert Counter(each.request for each in server.messages) == Counter(ids)


@pytest.mark.chaos
def test_killed_at_any_moment_it_sends_each_message_once(
    open_post: OpenPost, server: MailServer, fresh_postgres: Callable[[], str], chaos_seed: int, chaos_turn: int
) -> None:
    """The server reports what it takes (RFC 3461), so that even the moment of the last answer is no gap."""
    post = open_post(fresh_postgres() if chaos_turn % 2 else "")
    draw = random.Random(chaos_seed)
    server.offers_dsn = True
    server.pause_s = 0.02
    for name in ("tmp", "new", "cur"):
        (post.place / "bounces" / name).mkdir(parents=True)
    server.on_taken = post.report_each
    server.script = lambda stage, _name: "451 4.3.0 later" if stage == "rcpt" and draw.random() < 0.05 else None
    requests = [make_request("order.confirmation", to=f"p{n}@example{n % 7}.com") for n in range(60)]
    post.ask(*requests)
    for _ in range(5):
        before = len(server.messages)
        if before >= len(requests):
            break  # all were taken before the next kill: nothing is left to interrupt
        running = post.start()
        until(lambda r=running, b=before: len(server.messages) > b or not r.lives(), "progress")  # type: ignore[misc]
        time.sleep(draw.random() * 0.4)
        running.kill()
    running = post.start()
    running.until(lambda: '"sending"' in running.said(), "listening", 60)
    ids: set[object] = {each.id for each in requests}
    until(lambda: len({each.request_id for each in post.outcomes(ids)}) == len(ids), "all outcomes", 90)
    assert running.end() == 0
    assert Counter(each.request for each in server.messages) == Counter(ids)
    assert {each.outcome for each in post.outcomes(ids)} == {"accepted"}
    assert len({each.id for each in post.outcomes(ids)}) == len(ids)


def test_killed_between_the_servers_yes_and_its_record_the_same_message_goes_again_and_is_counted(
    post: Post, server: MailServer
) -> None:
    """The one gap that no client can close without a report: the server took it, and nobody was there to hear so."""

    def kill(_message: Taken) -> None:
        if len(server.messages) == 1 and post.running is not None:
            post.running.signal(signal.SIGKILL)

    server.on_taken = kill
    server.pause_s = 0.05
    request = make_request("order.confirmation")
    post.ask(request)
    first = post.start()
    until(lambda: not first.lives(), "killed")
    second = post.start()
    until(lambda: post.outcomes({request.id}), "the outcome")
    assert len(server.messages) == 2
    assert len({each.message["Message-ID"] for each in server.messages}) == 1
    assert '"uncertain"' in second.said()
    assert second.end() == 0


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SECRET", "short", "RELANCE_NOTIFICATION_SECRET"),
        ("SENDERS", "nowhere.yaml", "senders"),
        ("KEYS", "nowhere", "DKIM key"),
        ("SMTP_USER", "me", "SMTP_TLS"),
        ("DATABASE", "mysql://x/y", "SQLite or PostgreSQL"),
    ],
)
def test_wrong_settings_are_told_and_end_with_2(
    name: str, value: str, told: str, tmp_path: Path, start_process: Callable[..., Running]
) -> None:
    environ = house(tmp_path / "post") | {"RELANCE_NOTIFICATION_DATABASE": f"sqlite:///{tmp_path}/n.db"}
    running = start_process("-m", "services.notification", **(environ | {f"RELANCE_NOTIFICATION_{name}": value}))
    assert running.process.wait(30) == 2
    assert told in running.said()


def test_a_key_is_made_for_its_owner_alone_and_its_record_printed(
    tmp_path: Path, start_process: Callable[..., Running]
) -> None:
    environ = {"RELANCE_NOTIFICATION_KEYS": str(tmp_path / "dkim")}
    made = start_process("-m", "services.notification", "key", "shop.example", **environ)
    assert made.process.wait(30) == 0
    path = tmp_path / "dkim/shop.example/relance.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert "relance._domainkey.shop.example. IN TXT" in made.said()
    again = start_process("-m", "services.notification", "key", "shop.example", **environ)
    assert again.process.wait(30) == 2
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(tmp_path / "dkim")


def test_a_report_is_taken_in_by_the_command_too(tmp_path: Path, start_process: Callable[..., Running]) -> None:
    environ = house(tmp_path / "post") | {"RELANCE_NOTIFICATION_DATABASE": f"sqlite:///{tmp_path}/n.db"}
    (tmp_path / "note.eml").write_bytes(b"To: a@b.fr\r\n\r\nHello\r\n")
    running = start_process("-m", "services.notification", "bounce", str(tmp_path / "note.eml"), **environ)
    assert running.process.wait(30) == 0
    assert running.said() == "other\n"
