"""What runs: one package per service, with the same rooms in each."""

import hashlib
from functools import cache
from pathlib import Path

__all__ = ["keep_kernels"]


def keep_kernels(domain: Path, *, with_tables: bool = False) -> None:
    """From now on numba keeps what it compiles in a folder of its own for each state of the sources of `domain`.

    Numba itself looks only at the file of the function that is called, and would go on using what it compiled from an
    older version of the functions that this one calls. A domain with kernels says this before it imports them.
    `with_tables`: kernels also hold tables made from other sources (the events' types), so all of them count.
    """
    import numba  # noqa: PLC0415 - a third of a second, which services without kernels do not need

    base = Path(_given()) if _given() else domain / "__pycache__"
    root = Path(__file__).parents[1]
    digest = hashlib.blake2b(digest_size=8)
    events = [path for path in root.glob("relance/events/*.py") if with_tables or path.stem in ("batch", "catalog")]
    for source in sorted([*domain.glob("*.py"), *events]):
        text = source.read_bytes()
        if with_tables or source in events or b"njit" in text or b"np.dtype(" in text:
            digest.update(text)
    numba.config.CACHE_DIR = str(base / f"kernels-{domain.parent.name}-{digest.hexdigest()}")


@cache
def _given() -> str:
    """NUMBA_CACHE_DIR: where sources cannot be written beside. As it was when this was asked first."""
    import numba  # noqa: PLC0415 - as above

    return str(numba.config.CACHE_DIR)
