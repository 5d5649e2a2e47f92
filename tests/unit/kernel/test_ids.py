"""Which visitor ids are UUIDs: one meaning for tracking, the simulator and who asks the session service."""

import json
from uuid import UUID

import pytest

from relance.cli.lines import LineReader
from relance.kernel.ids import is_uuid, visitor_uuid
from services.tracking.domain.columnar import Encoder
from services.tracking.domain.rows import to_batch
from services.tracking.domain.shops import ShopTable

HEX = "b0c3d1a25e4f4a6b8c7d9e0f1a2b3c4d"
USUAL = "b0c3d1a2-5e4f-4a6b-8c7d-9e0f1a2b3c4d"
ODD = [
    HEX, f"{{{USUAL}}}", f"urn:uuid:{USUAL}", f"{{--{HEX}}}", f"urn:{HEX}", f"----{HEX}", f"{HEX}----", f"{{{HEX}}}--",
    USUAL.replace("-", "_"), USUAL.replace("b0", "0x"), USUAL.replace("b0", " 1"), USUAL.replace("c3", "_3"),
    USUAL.replace("b", "\uff11"), USUAL[:-1] + "g", "",
]  # fmt: skip


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(ShopTable(["demo"]))


@pytest.mark.parametrize("text", [USUAL, USUAL.upper(), USUAL.replace("b", "B"), f"{0:08}-{0:04}-4000-8000-{0:012}"])
def test_a_uuid_in_its_usual_form_is_kept(text: str) -> None:
    assert is_uuid(text)
    assert visitor_uuid("demo", text) == UUID(text)
    assert visitor_uuid("other", text) == UUID(text)


@pytest.mark.parametrize("text", ODD)
def test_any_other_form_is_hashed_within_its_shop(text: str) -> None:
    assert not is_uuid(text)
    assert visitor_uuid("demo", text) not in {UUID(USUAL), visitor_uuid("other", text)}


@pytest.mark.parametrize("text", [USUAL, USUAL.upper(), *filter(None, ODD)])
def test_tracking_and_the_simulator_mean_the_same_visitor(encoder: Encoder, text: str) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/shops/demo", "type": "page.viewed", "visitorid": text,
             "time": "2026-11-22T10:00:00Z", "data": {"page": "/"}}  # fmt: skip
    raw = json.dumps(event).encode()
    encoded = encoder.encode([raw], shop="demo")
    reader = LineReader("log")
    reader.add(raw)
    batches = (to_batch(encoded.rows, encoded.strings, encoded.shops), reader.take().batch)
    assert [batch.column("visitor")[0].as_py() for batch in batches] == [visitor_uuid("demo", text).bytes] * 2
    links = [json.loads(value) for value in encoded.fact_values]
    assert [link["data"]["anonymous_id"] for link in links] == ([] if is_uuid(text) else [text])
