"""A wall clock that tells a process the wrong time, and jumps while the process runs."""

from pathlib import Path


class Clock:
    """The wall clock of the Python processes that are started with `environ`, and of their children."""

    def __init__(self, file: Path, ahead_s: int) -> None:
        self._file = file
        self.jump_to(ahead_s)

    @property
    def environ(self) -> dict[str, str]:
        """The variables."""
        return {"PYTHONPATH": str(Path(__file__).parent / "wrong_clock"), "WRONG_CLOCK_FILE": str(self._file)}

    def jump_to(self, ahead_s: int) -> None:
        """From now on it is ahead of the true time by so much."""
        part = self._file.with_suffix(".part")
        part.write_text(str(ahead_s))
        part.replace(self._file)
        self.ahead_s = ahead_s
