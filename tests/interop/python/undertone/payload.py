"""What is said inside a message: numbers, acknowledgement, kind and text."""

from dataclasses import dataclass

from .primitives import Refused

NOTHING, TEXT, ANSWER, CLOSE, READ = range(5)
HEAD = 52
MARK = 16
LONGEST = 1850


def mark(stream, below):
    """What a read mark says: all of `stream` with a number lower than `below` was seen."""
    return stream.to_bytes(8, "little") + below.to_bytes(8, "little")


def marked(said):
    """The stream, and the number below which all was seen."""
    return int.from_bytes(said[:8], "little"), int.from_bytes(said[8:], "little")


@dataclass
class Payload:
    """`number` is None or a number of `stream`; `ack` is None or (stream, next, beyond)."""

    stream: int
    number: int | None = None
    ack: tuple | None = None
    base: int = 0
    kind: int = NOTHING
    said: bytes = b""

    def write(self, length):
        numbers = (self.stream, self.number or 0, *(self.ack or (0, 0, 0)), self.base)
        flags = (1 if self.number is not None else 0) | (2 if self.ack is not None else 0)
        head = b"".join(number.to_bytes(8, "little") for number in numbers)
        head += bytes([flags, self.kind]) + len(self.said).to_bytes(2, "little")
        assert len(head + self.said) <= length
        return (head + self.said).ljust(length, b"\0")

    @staticmethod
    def read(said):
        stream, number, *ack, base = (int.from_bytes(said[at : at + 8], "little") for at in range(0, 48, 8))
        flags, kind = said[48], said[49]
        length = int.from_bytes(said[50:52], "little")
        text, rest = said[HEAD : HEAD + length], said[HEAD + length :]
        if flags & ~3 or (not flags & 1 and number) or (not flags & 2 and any(ack)):
            raise Refused("flags")
        if len(text) != length or any(rest):
            raise Refused("a length or a padding")
        silent = kind in (NOTHING, ANSWER, CLOSE)
        if silent and length or kind == TEXT and length > LONGEST or kind == READ and length != MARK:
            raise Refused("a length that its kind does not have")
        if kind == TEXT:
            try:
                text.decode()
            except UnicodeDecodeError:
                raise Refused("not UTF-8") from None
        return Payload(
            stream, number if flags & 1 else None, tuple(ack) if flags & 2 else None, base, kind, text
        )
