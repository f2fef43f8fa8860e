"""The protobuf runtime as oracle: Eclipse Tahu's schema, by the field numbers of Sparkplug 3.0.0, 6.4.1.

Data sets and templates are left out: an edge node of ours neither writes nor reads them.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELDS = {
    "MetaData": (
        "bool is_multi_part 1", "string content_type 2", "uint64 size 3", "uint64 seq 4",
        "string file_name 5", "string file_type 6", "string md5 7", "string description 8",
    ),
    "PropertyValue": (
        "uint32 type 1", "bool is_null 2", "uint32 int_value 3", "uint64 long_value 4", "float float_value 5",
        "double double_value 6", "bool boolean_value 7", "string string_value 8",
    ),
    "PropertySet": ("string[] keys 1", "PropertyValue[] values 2"),
    "Metric": (
        "string name 1", "uint64 alias 2", "uint64 timestamp 3", "uint32 datatype 4", "bool is_historical 5",
        "bool is_transient 6", "bool is_null 7", "MetaData metadata 8", "PropertySet properties 9",
        "uint32 int_value 10", "uint64 long_value 11", "float float_value 12", "double double_value 13",
        "bool boolean_value 14", "string string_value 15", "bytes bytes_value 16",
    ),
    "Payload": ("uint64 timestamp 1", "Metric[] metrics 2", "uint64 seq 3", "string uuid 4", "bytes body 5"),
}  # fmt: skip
KINDS = {"double": 1, "float": 2, "uint64": 4, "bool": 8, "string": 9, "bytes": 12, "uint32": 13}
MESSAGE = 11


def _built():
    file = descriptor_pb2.FileDescriptorProto(name="tahu.proto", package="tahu", syntax="proto2")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for text in fields:
            kind, field_name, number = text.split()
            single = kind.removesuffix("[]")
            field = message.field.add(name=field_name, number=int(number), type=KINDS.get(single, MESSAGE))
            field.label = 3 if kind.endswith("[]") else 1
            if single not in KINDS:
                field.type_name = f".tahu.{single}"
            elif field_name.endswith("_value"):
                field.oneof_index = 0
        if any(text.split()[1].endswith("_value") for text in fields):
            message.oneof_decl.add(name="value")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tahu.Payload"))


Payload = _built()


def read(payload: bytes):
    """A payload; raises google.protobuf.message.DecodeError."""
    found = Payload()
    found.ParseFromString(payload)
    return found
