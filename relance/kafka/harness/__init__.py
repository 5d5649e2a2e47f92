"""The Faust harness: carries state machines (`relance.kafka.machine`) over one input topic; see `core`."""

from relance.kafka.harness.core import Control, Harness
from relance.kafka.harness.settings import HarnessSettings
from relance.kafka.harness.status import HarnessStatus, PartitionStatus

__all__ = ["Control", "Harness", "HarnessSettings", "HarnessStatus", "PartitionStatus"]
