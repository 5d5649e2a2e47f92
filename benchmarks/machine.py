"""What machine this is, and how much of it others took."""

import platform
from pathlib import Path

import msgspec

__all__ = ["Machine", "read_machine", "steal_share"]


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader needs to compare two results."""

    cpu: str
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    java: str


def read_machine(java: str) -> Machine:
    """The machine as /proc shows it; `java` is the version that ran the rivals."""
    cpus = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("model name")
    ]
    memory_kb = Path("/proc/meminfo").read_text(encoding="utf-8").split(maxsplit=2)[1]
    return Machine(
        cpu=cpus[0] if cpus else platform.machine(), cores=len(cpus) or 1, memory_bytes=int(memory_kb) * 1024,
        kernel=platform.release(), python=platform.python_version(), java=java,
    )  # fmt: skip


def cpu_times() -> list[int]:
    """The machine's jiffies since boot by kind: user, nice, system, idle, iowait, irq, softirq, steal."""
    line = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    return [int(field) for field in line.split()[1:9]]


def steal_share(before: list[int], after: list[int]) -> float:
    """The share of the machine's time between two readings that the hypervisor gave to others."""
    spent = [end - start for start, end in zip(before, after, strict=True)]
    return spent[7] / max(1, sum(spent))
