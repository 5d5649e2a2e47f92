"""The windows file: what is accepted, and that each refusal names file, line and reason."""

import json
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from relance.events.catalog import CHANNELS, STAGES
from relance.kernel.errors import DefinitionsError
from relance.rules.windows import WINDOW_EVENTS, Definitions, When, Window
from relance.rules.windows_file import dump, duration_text, json_schema, load, parse_duration

ROOT = Path(__file__).parents[3]
VALID = """\
session_gap: PT30M
grace: PT2S
windows:
  - {id: cart-big, stage: cart, inactivity: PT20M, when: {cart_total_at_least_minor: 50000, currency: EUR}}
  - {id: payment-failed, event: payment.failed, inactivity: PT0S}
"""
MANY = "windows:\n" + "".join(f"- {{id: w{n}, stage: cart, inactivity: PT{n}S}}\n" for n in range(65))


def window(text: str) -> str:
    return f"windows:\n  - {text}\n"


def predicate(text: str) -> str:
    return f"windows:\n  - id: a\n    stage: cart\n    inactivity: PT1M\n    when:\n      {text}\n"


REFUSED = [
    ("sesion_gap: PT1M\nwindows: []\n", 1, "unknown key 'sesion_gap' in a windows file: did you mean session_gap?"),
    (window("{id: a, stage: cart, inactivity: PT1M, colour: red}"), 2, "unknown key 'colour' in a window"),
    (predicate("cart_total: 5"), 6, "unknown key 'cart_total' in when"),
    (window("{id: a, stage: basket, inactivity: PT1M}"), 2, "unknown stage 'basket'"),
    (window("{id: a, stage: none, inactivity: PT1M}"), 2, "unknown stage 'none'"),
    (window("{id: a, event: payment.fialed, inactivity: PT1M}"), 2, "did you mean payment.failed?"),
    (window("{id: a, event: order.completed, inactivity: PT1M}"), 2, "order.completed concludes"),
    (window("id: a\n    inactivity: PT1M\n    event: payment.succeeded"), 4, "payment.succeeded concludes"),
    (predicate("consent: fax"), 6, "unknown channel 'fax'"),
    (predicate("device: phone"), 6, "unknown device 'phone'"),
    (predicate("currency: eur"), 6, "currency must be three capital letters"),
    (predicate("items_at_least: -1"), 6, "items_at_least must be a whole number from 0 on, not -1"),
    (predicate("items_at_least: 1.5"), 6, "items_at_least must be a whole number, not '1.5'"),
    (predicate("events_at_least: true"), 6, "events_at_least must be a whole number, not 'true'"),
    (predicate("known_person: 1"), 6, "known_person must be true or false, not '1'"),
    (predicate("returning: 'yes'"), 6, "returning must be true or false"),
    (predicate("currency: [EUR]"), 6, "not a list or mapping"),
    (predicate("cart_total_below_minor: 9223372036854775807"), 6, "cart_total_below_minor must be"),
    ("grace: -PT1S\nwindows: []\n", 1, "grace: '-PT1S': a duration cannot be negative"),
    (window("{id: a, stage: cart, inactivity: -PT1M}"), 2, "a duration cannot be negative"),
    (window("{id: a, stage: cart, inactivity: P1M}"), 2, "years and months have no fixed length"),
    (window("{id: a, stage: cart, inactivity: P1Y}"), 2, "years and months have no fixed length"),
    (window("{id: a, stage: cart, inactivity: 20}"), 2, "inactivity must be an ISO 8601 duration"),
    (window("{id: a, stage: cart, inactivity: 20m}"), 2, "'20m' is not an ISO 8601 duration"),
    (window("{id: a, stage: cart, inactivity: PT}"), 2, "'PT' is not an ISO 8601 duration"),
    (window("{id: a, stage: cart, inactivity: PT0.0001S}"), 2, "at most millisecond precision"),
    ("session_gap: P4000D\nwindows: []\n", 1, "at most ten years"),
    ("session_gap: P99999999999D\nwindows: []\n", 1, "at most ten years"),
    (VALID + "  - {id: cart-big, stage: browse, inactivity: PT1M}\n", 6, "two windows have the id 'cart-big'"),
    (MANY, 66, "more than 64 windows"),
    (window("{id: a, inactivity: PT1M}"), 2, "window 'a' needs a stage or an event"),
    (window("{id: a, stage: cart, event: payment.failed, inactivity: PT1M}"), 2, "both a stage and an event"),
    (window("{stage: cart, inactivity: PT1M}"), 2, "a window needs id"),
    (window("{id: a, stage: cart}"), 2, "a window needs inactivity"),
    (window("{id: 'a b', stage: cart, inactivity: PT1M}"), 2, "id must be letters, digits"),
    (window("{id: 7, stage: cart, inactivity: PT1M}"), 2, "id must be text"),
    (window("{id: a, id: b, stage: cart, inactivity: PT1M}"), 2, "the key 'id' stands twice"),
    ("grace: PT1S\nwindows: []\ngrace: PT2S\n", 3, "the key 'grace' stands twice"),
    (window("cart"), 2, "a window must be a mapping"),
    ("windows: {id: a}\n", 1, "windows must be a list"),
    ("windows:\n", 1, "windows must be a list"),
    ("- a\n", 1, "a windows file must be a mapping"),
    ("\n\nwindows: [\n", 4, "not YAML"),
    ("windows: []\n---\nwindows: []\n", 2, "not YAML"),
    ("windows: []\n# \x07\n", 2, "a character that YAML does not allow"),
    ("windows: !!python/object:os.system []\n", 1, "windows must"),
    ("", 1, "the file is empty"),
    ("# nothing\n", 1, "the file is empty"),
    ("[" * 5000, 1, ""),
]


@pytest.mark.parametrize(("text", "line", "reason"), REFUSED)
def test_refusal_names_file_line_and_reason(text: str, line: int, reason: str) -> None:
    with pytest.raises(DefinitionsError) as caught:
        load(text, "shop.yaml")
    assert reason in caught.value.reason
    assert (caught.value.file, caught.value.line) == ("shop.yaml", line)
    assert str(caught.value).startswith(f"shop.yaml:{line}: ")
    assert "\n" not in str(caught.value)


def test_example_of_the_design() -> None:
    definitions = load(VALID, "shop.yaml")
    big = When(cart_total_at_least_minor=50_000, currency="EUR")
    assert definitions == Definitions(
        windows=(
            Window(id="cart-big", stage="cart", inactivity=timedelta(minutes=20), when=big),
            Window(id="payment-failed", event="payment.failed", inactivity=timedelta(0)),
        )
    )
    assert definitions.allowed_lateness == timedelta(minutes=5)


def test_sixty_four_windows_are_accepted() -> None:
    assert len(load(MANY.rsplit("- ", 1)[0], "shop.yaml").windows) == 64


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("PT0S", timedelta(0)),
        ("PT0.25S", timedelta(milliseconds=250)),
        ("PT0,5S", timedelta(milliseconds=500)),
        ("P1DT2H3M4.005S", timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=5)),
        ("P2W", timedelta(weeks=2)),
        ("PT90M", timedelta(minutes=90)),
        ("-PT0S", timedelta(0)),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


durations = st.integers(0, 10**11).map(lambda ms: timedelta(milliseconds=ms))
counts = st.none() | st.integers(0, 10**12)
flags = st.none() | st.booleans()
whens = st.builds(
    When,
    cart_total_at_least_minor=counts,
    cart_total_below_minor=counts,
    currency=st.none() | st.sampled_from(["EUR", "NOK", "USD"]),
    item_price_at_least_minor=counts,
    items_at_least=counts,
    events_at_least=counts,
    device=st.none() | st.sampled_from(["desktop", "mobile", "tablet"]),
    known_person=flags,
    returning=flags,
    consent=st.none() | st.sampled_from(CHANNELS),
)
ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
windows = st.builds(Window, id=ids, stage=st.sampled_from(list(STAGES)), inactivity=durations, when=whens) | st.builds(
    Window, id=ids, event=st.sampled_from(WINDOW_EVENTS), inactivity=durations, when=whens
)
sets = st.builds(
    Definitions,
    session_gap=durations,
    grace=durations,
    allowed_lateness=durations,
    windows=st.lists(windows, max_size=5, unique_by=lambda window: window.id).map(tuple),
)


@given(sets)
def test_dump_and_load_are_inverse_and_fit_the_schema(definitions: Definitions) -> None:
    text = dump(definitions)
    assert load(text, "dumped.yaml") == definitions
    jsonschema.validate(yaml.safe_load(text), json_schema())


@given(durations)
def test_duration_text_and_parse_are_inverse(duration: timedelta) -> None:
    assert parse_duration(duration_text(duration)) == duration


def test_committed_schema_is_the_generated_one() -> None:
    committed = json.loads((ROOT / "schemas/rules/windows.schema.json").read_text())
    assert committed == json_schema()


def test_shipped_files_load_and_fit_the_schema() -> None:
    files = sorted((ROOT / "rules/windows").glob("*.yaml"))
    assert files
    for file in files:
        assert load(file.read_text(), file.name).windows
        jsonschema.validate(yaml.safe_load(file.read_text()), json_schema())


SCHEMA_REFUSES = ("unknown", "both a stage", "a window needs", "concludes", "more than 64", "did you mean")


@pytest.mark.parametrize("text", [text for text, _, reason in REFUSED if reason.startswith(SCHEMA_REFUSES)])
def test_editors_mark_what_the_loader_refuses(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), json_schema())
