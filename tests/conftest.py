"""Profiles of Hypothesis, seeds of fault tests, and the data that lie beside the repository."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"

# No deadline: the first example of a kernel may include its compilation.
settings.register_profile("dev", max_examples=100, deadline=None, print_blob=True)
settings.register_profile("quick", max_examples=20, deadline=None, print_blob=True)
settings.register_profile(
    "nightly", max_examples=2_000, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("relance")
    group.addoption("--seeds", type=int, default=3, metavar="N", help="seeds that each fault test draws (default 3)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with `chaos_seed` runs once a seed: its name shows which, and --randomly-seed=N draws it again.

    One that is too long to do all at each seed also asks for `chaos_turn`, which counts them.
    """
    if "chaos_seed" in metafunc.fixturenames:
        draw = random.Random(f"{metafunc.config.getoption('randomly_seed')}/{metafunc.function.__name__}")
        seeds = [draw.randrange(10**6) for _ in range(metafunc.config.getoption("--seeds"))]
        names = [f"seed={seed}" for seed in seeds]
        if "chaos_turn" in metafunc.fixturenames:
            metafunc.parametrize(("chaos_seed", "chaos_turn"), [*zip(seeds, range(len(seeds)), strict=True)], ids=names)
        else:
            metafunc.parametrize("chaos_seed", seeds, ids=names)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked `long` begins first, and the others are done beside it; their order stays as it was drawn."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data and pages beside the repository; the one reason for which a test may be skipped."""
    if not SHARED.is_dir():
        pytest.skip("../shared is not there")
    return SHARED
