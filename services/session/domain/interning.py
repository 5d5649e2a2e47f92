"""Words as small integers: shops, window ids, landing pages."""

__all__ = ["Interned"]


class Interned:
    """A list of words without repetition; a word's number is its place."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._places: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.words)

    def intern(self, word: str) -> int:
        """The number of a word, new or known."""
        place = self._places.get(word)
        if place is None:
            place = self._places[word] = len(self.words)
            self.words.append(word)
        return place
