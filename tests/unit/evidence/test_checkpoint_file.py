from pathlib import Path

import msgspec
import pytest

from relance.custody.checkpoint_file import CheckpointFile
from relance.custody.ports import CheckpointSink
from relance.evidence.checkpoints import encode, seal
from relance.evidence.verification import verify
from relance.kernel.errors import NotNow
from tests.unit.evidence.story import TEN_MS, chain, key, public


def filled(path: Path, count: int) -> CheckpointSink:
    sink: CheckpointSink = CheckpointFile(path)
    for minute in range(count):
        heads = [chain(f"o-{minute}-{number}")[1] for number in range(3)]
        sink.append(seal(sink.last(), heads, TEN_MS + minute * 60_000, key()))
    return sink


def test_a_new_log_is_empty(tmp_path: Path) -> None:
    sink = CheckpointFile(tmp_path / "new" / "checkpoints")
    assert sink.last() is None
    assert sink.lines() == ()


def test_what_was_appended_is_read_again_in_order(tmp_path: Path) -> None:
    sink = filled(tmp_path / "sub" / "checkpoints", 4)
    last = sink.last()
    assert last is not None
    assert last.header.number == 4
    assert len(sink.lines()) == 4
    assert not [finding for finding in verify({}, sink.lines(), public()).findings if finding.kind != "missing_order"]


def test_two_writers_cannot_fork_the_log(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints"
    filled(path, 1)
    first, second = CheckpointFile(path), CheckpointFile(path)
    ours, theirs = (seal(sink.last(), [], TEN_MS + 60_000, key()) for sink in (first, second))
    first.append(ours)
    with pytest.raises(NotNow, match="checkpoint 2 does not follow the newest"):
        second.append(theirs)
    assert len(first.lines()) == 2


@pytest.mark.parametrize("left", [1, 100, -1])
def test_a_line_that_a_crash_cut_short_never_counted(tmp_path: Path, left: int) -> None:
    path = tmp_path / "checkpoints"
    sink = filled(path, 2)
    torn = encode(seal(sink.last(), [chain("o-9")[1]], TEN_MS + 120_000, key()))[:left]
    for _ in range(2):  # it may die again while it writes the next
        with path.open("ab") as file:
            file.write(torn)
        last = sink.last()
        assert last is not None
        sink.append(seal(last, [], TEN_MS + 180_000, key()))
    assert len(sink.lines()) == 4
    assert {finding.kind for finding in verify({}, sink.lines(), public()).findings} == {"missing_order"}


def test_a_line_longer_than_a_block_is_found_from_the_end(tmp_path: Path) -> None:
    sink = CheckpointFile(tmp_path / "checkpoints")
    _, head = chain("o-0")
    many = [msgspec.structs.replace(head, order=f"o-{number}") for number in range(1_500)]
    sink.append(seal(None, many, TEN_MS, key()))
    sink.append(seal(sink.last(), many, TEN_MS, key()))
    last = sink.last()
    assert last is not None
    assert (last.header.number, last.header.count) == (2, 1_500)
