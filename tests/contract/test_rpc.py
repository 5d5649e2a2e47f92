"""Protos, stubs and Structs say the same."""

from pathlib import Path
from typing import Union, get_args, get_origin

import msgspec
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from relance.cli.contracts import differences
from relance.events.signals import Signal
from relance.rpc.checkout.v1 import aftercare_pb2, checkout_pb2, law_pb2
from relance.rpc.session.v1 import session_pb2
from relance.rpc.tracking.v1 import tracking_pb2

ROOT = Path(__file__).parents[2]
BASELINE = ROOT / "protos/baseline.binpb"


def test_generated_files_are_what_code_and_protos_say() -> None:
    assert differences(ROOT) == []


def test_signal_of_the_rpc_has_the_fields_of_the_signal_on_kafka() -> None:
    message = session_pb2.Signal.DESCRIPTOR
    fields = msgspec.structs.fields(Signal)
    assert [field.encode_name for field in fields] == [field.name for field in message.fields]
    for field, proto in zip(fields, message.fields, strict=True):
        kinds = get_args(field.type) if get_origin(field.type) in {Union, type(int | str)} else (field.type,)
        absent = type(None) in kinds or msgspec.UnsetType in kinds
        is_list = any(get_origin(kind) is tuple for kind in kinds)
        assert proto.is_repeated == is_list, proto.name
        assert proto.has_presence == (absent and not is_list), proto.name
        assert (proto.type == FieldDescriptor.TYPE_INT64) == (int in kinds), proto.name


def _messages(files: FileDescriptorSet) -> dict[str, dict[int, tuple[str, int, int]]]:
    return {
        f"{file.package}.{message.name}": {
            field.number: (field.name, field.type, field.label) for field in message.field
        }
        for file in files.file
        for message in file.message_type
    }


@pytest.mark.parametrize("module", [aftercare_pb2, checkout_pb2, law_pb2, session_pb2, tracking_pb2])
def test_what_was_published_is_still_there(module: object) -> None:
    """The part of buf's breaking-change check that needs no buf: no field is lost, renumbered or of another type."""
    now = FileDescriptorSet()
    module.DESCRIPTOR.CopyToProto(now.file.add())  # type: ignore[attr-defined]
    known = FileDescriptorSet.FromString(BASELINE.read_bytes()).file
    published = _messages(FileDescriptorSet(file=[file for file in known if file.name == now.file[0].name]))
    current = _messages(now)
    assert published.keys() <= current.keys()
    for name in published:
        assert current[name].items() >= published[name].items(), name
