"""The kinds of messages that there are: a folder each, with `kind.yaml` and its words in every language."""

from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from relance.kernel.errors import InputError
from services.notification.domain.kinds import Kinds, read_kind

__all__ = ["LANGUAGES", "load_kinds", "words_of"]

LANGUAGES: Final = ("fr", "en")
_HERE: Final = Path(__file__).with_name("kinds")
_WORDS: Final = frozenset({"subject", "title", "paragraphs"})


@cache
def load_kinds() -> Kinds:
    """All kinds. Raises InputError when a folder of one is not whole."""
    return Kinds(read_kind(path.parent.name, _read(path)) for path in sorted(_HERE.glob("*/kind.yaml")))


def words_of(kind: str, language: str) -> dict[str, Any]:
    """What a kind says in a language. Raises InputError when a part is missing."""
    found = _read(_HERE / kind / f"{language}.yaml")
    if not isinstance(found, dict) or not found.keys() >= _WORDS:
        raise InputError(f"{kind}: {language}.yaml lacks one of {', '.join(sorted(_WORDS))}")
    return found


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"{path.parent.name}/{path.name}: {error}") from None
