"""Python reads it when it starts, for being on the path: the wall clock of this process is wrong, as a file says.

libfaketime, which does this to whole processes, stops librdkafka: its threads wait for ever in the condition variables
that it replaces. This moves the clock of all Python code, ours and Faust's. Monotonic clocks stay true.
"""

import ctypes
import datetime as dt
import gc
import os
import time
from pathlib import Path

_FILE = Path(os.environ["WRONG_CLOCK_FILE"])
_LOOK_S = 0.1
_true_ns, _true_now, _monotonic = time.time_ns, dt.datetime.now, time.monotonic
_ahead = [float("-inf"), 0]  # when the file was read, and how far the clock is ahead, s


def _ahead_s() -> int:
    if _monotonic() - _ahead[0] > _LOOK_S:
        _ahead[:] = _monotonic(), int(_FILE.read_text())
    return int(_ahead[1])


def _time_ns() -> int:
    return _true_ns() + _ahead_s() * 1_000_000_000


def _time() -> float:
    return _time_ns() / 1e9


def _now(_cls: type, tz: dt.tzinfo | None = None) -> dt.datetime:
    return _true_now(tz) + dt.timedelta(seconds=_ahead_s())


time.time, time.time_ns = _time, _time_ns
gc.get_referents(dt.datetime.__dict__)[0]["now"] = classmethod(_now)  # the type does not let itself be changed
ctypes.pythonapi.PyType_Modified(ctypes.py_object(dt.datetime))
