"""What runs: one package per service, with the same rooms in each."""

import hashlib
from pathlib import Path

import numba

__all__ = ["keep_kernels"]


def keep_kernels(domain: Path) -> None:
    """From now on numba keeps what it compiles in a folder of its own for each state of the kernels' sources in `domain`.

    Numba itself looks only at the file of the function that is called, and would go on using what it compiled from an older
    version of the functions that this one calls. A domain with kernels says this before it imports them.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.blake2b(digest_size=8)
    shared = [root / "relance" / "events" / name for name in ("batch.py", "catalog.py")]
    for source in sorted([*domain.glob("*.py"), *shared]):
        text = source.read_bytes()
        if source in shared or b"njit" in text or b"np.dtype(" in text or b"intrinsic" in text:
            digest.update(text)
    base = Path(_given) if _given else domain / "__pycache__"
    numba.config.CACHE_DIR = str(base / f"kernels-{domain.parent.name}-{digest.hexdigest()}")


_given = numba.config.CACHE_DIR  # NUMBA_CACHE_DIR: where sources cannot be written beside
