import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from relance.kafka import connection, local
from relance.kernel.errors import InputError

pytestmark = pytest.mark.kafka

Relance = Callable[..., subprocess.CompletedProcess[str]]


def test_broker_keeps_its_data_and_its_address_over_kill_and_restart(own_broker: Path) -> None:
    first = local.start(own_broker)
    admin = AdminClient({"bootstrap.servers": first.bootstrap})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(20)
    producer = Producer({"bootstrap.servers": first.bootstrap, "acks": "all"})
    producer.produce("kept", b"still here")
    assert producer.flush(20) == 0

    os.kill(first.pid, signal.SIGKILL)
    second = local.start(own_broker)

    assert second.bootstrap == first.bootstrap
    assert second.pid != first.pid
    consumer = Consumer({"bootstrap.servers": second.bootstrap, "group.id": "reader", "enable.auto.commit": False})
    consumer.assign([TopicPartition("kept", 0, 0)])
    message = consumer.poll(20)
    consumer.close()
    assert message is not None
    assert message.value() == b"still here"

    assert local.stop(own_broker)
    assert local.status(own_broker) is None
    assert _has_ended(second.pid)
    assert not local.stop(own_broker)


def _has_ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)  # until process 1 takes note of it
    except psutil.NoSuchProcess:
        return True


def test_broker_refuses_a_topic_that_nobody_created(kafka: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    asked = admin.list_topics("no-such-topic", timeout=20).topics["no-such-topic"]
    assert asked.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert "no-such-topic" not in admin.list_topics(timeout=20).topics


def test_stopped_process_is_ended_too(own_broker: Path) -> None:
    broker = local.start(own_broker)
    os.kill(broker.pid, signal.SIGSTOP)
    assert local.status(own_broker) == broker
    assert local.stop(own_broker, timeout_s=15)
    assert local.status(own_broker) is None


def test_port_that_is_taken_is_refused(kafka: str, tmp_path: Path) -> None:
    port = int(kafka.rpartition(":")[2])
    with pytest.raises(InputError, match=f"port {port} is taken"):
        local.start(tmp_path, port=port)


def test_without_a_broker_one_line_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="relance kafka start"):
        connection.bootstrap_servers({}, tmp_path)
    assert connection.bootstrap_servers({"RELANCE_KAFKA": "a:1,b:2"}, tmp_path) == "a:1,b:2"


def test_command_line_starts_tells_and_stops(relance: Relance, own_broker: Path) -> None:
    at = ("--data-dir", str(own_broker))
    assert relance("kafka", "status", *at).returncode == 1

    started = relance("kafka", "start", *at)
    broker = local.status(own_broker)
    assert started.returncode == 0, started.stderr
    assert broker is not None
    assert started.stdout == f"{broker.bootstrap}\n"

    again = relance("kafka", "start", *at)
    assert again.stdout == started.stdout
    assert "runs already" in again.stderr
    assert relance("kafka", "status", *at).stdout == started.stdout

    assert relance("kafka", "stop", *at).returncode == 0
    assert relance("kafka", "status", *at).returncode == 1


def test_existing_cluster_is_used_and_nothing_started(relance: Relance, tmp_path: Path) -> None:
    done = relance("kafka", "start", RELANCE_KAFKA="kafka.example:9092")
    assert (done.returncode, done.stdout) == (0, "kafka.example:9092\n")
    assert not (tmp_path / "home").exists()


def test_broker_whose_end_nobody_takes_note_of_has_ended(own_broker: Path) -> None:
    # as process 1 of a container, which adopts what is orphaned and may never look after it
    adopts = "import ctypes, sys, time; from pathlib import Path; from relance.kafka import local\n"
    adopts += "assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0\n"  # PR_SET_CHILD_SUBREAPER
    adopts += "print(local.start(Path(sys.argv[1])).pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", adopts, str(own_broker)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        try:
            since = time.monotonic()
            assert local.stop(own_broker, timeout_s=30)
            assert time.monotonic() - since < 25
            assert _has_ended(pid)
        finally:
            parent.kill()
