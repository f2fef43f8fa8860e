"""Whole numbers in as many bytes as they need: the lengths of MQTT 5, the varints of protobuf."""


def varint(number: int) -> bytes:
    """Seven bits to a byte, the lowest first; the highest bit says that more follow. number: at least 0."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
