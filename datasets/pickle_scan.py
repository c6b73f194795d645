"""The byte code of a pickle, checked before it is interpreted.

The standard unpickler trusts a few numbers in the file with memory: the length of a text, the slot of a memo. Here they
are held against the file's own size, and opcodes that plain data never needs are refused.
"""

from __future__ import annotations

import pickletools

from ..graphlib.errors import StoreCorrupt

_PLAIN = [
    "PROTO",
    "STOP",
    "FRAME",
    "MARK",
    "NONE",
    "NEWTRUE",
    "NEWFALSE",
    "INT",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG",
    "LONG1",
    "LONG4",
    "FLOAT",
    "BINFLOAT",
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
    "BYTEARRAY8",
    "EMPTY_TUPLE",
    "TUPLE",
    "TUPLE1",
    "TUPLE2",
    "TUPLE3",
    "EMPTY_LIST",
    "LIST",
    "APPEND",
    "APPENDS",
    "EMPTY_DICT",
    "DICT",
    "SETITEM",
    "SETITEMS",
    "GLOBAL",
    "STACK_GLOBAL",
    "REDUCE",
    "BUILD",
    "NEWOBJ",
    "PUT",
    "BINPUT",
    "LONG_BINPUT",
    "GET",
    "BINGET",
    "LONG_BINGET",
    "MEMOIZE",
]

# opcode -> bytes of its argument (>= 0), or how its argument is found
_LINE, _TWO_LINES, _COUNTED = -1, -2, -3
_ARGUMENT: dict[int, int] = {}
_COUNT_BYTES: dict[int, int] = {}
_NAMES: dict[int, str] = {}
for _opcode in pickletools.opcodes:
    _code = ord(_opcode.code)
    _NAMES[_code] = _opcode.name
    if _opcode.name not in _PLAIN:
        continue
    _size = 0 if _opcode.arg is None else _opcode.arg.n
    if _size >= 0:
        _ARGUMENT[_code] = _size
    elif _size == pickletools.UP_TO_NEWLINE:
        _ARGUMENT[_code] = _TWO_LINES if _opcode.name == "GLOBAL" else _LINE
    else:
        _ARGUMENT[_code] = _COUNTED
        _COUNT_BYTES[_code] = {
            pickletools.TAKEN_FROM_ARGUMENT1: 1,
            pickletools.TAKEN_FROM_ARGUMENT4: 4,
            pickletools.TAKEN_FROM_ARGUMENT4U: 4,
            pickletools.TAKEN_FROM_ARGUMENT8U: 8,
        }[_size]

_STOP, _PROTO, _FRAME = (ord(c) for c in ".\x80\x95")
_PUT, _, _, _MEMOIZE = _STORES = tuple(ord(c) for c in "pqr\x94")
_GET, _, _ = _LOADS = tuple(ord(c) for c in "ghj")
_TUPLES = frozenset(ord(c) for c in "t\x85\x86\x87")
_MAX_TUPLES = 10_000


def scan(data: bytes, name: str) -> None:
    """Raise `StoreCorrupt` unless `data` is one whole pickle of plain opcodes with honest lengths.

    Time is linear in the number of opcodes; the content of texts and arrays is skipped.
    """
    memo = _Memo(name)
    position, end, before = 0, len(data), _PROTO
    while position < end:
        code = data[position]
        start, position = position, position + 1
        size = _ARGUMENT.get(code)
        if size is None:
            what = f"opcode {_NAMES[code]}" if code in _NAMES else f"byte {code:#04x}"
            raise StoreCorrupt(f"{name}: this pickle holds {what} at byte {start}, which is refused")
        argument = position
        if size >= 0:
            position += size
        elif size == _COUNTED:
            width = _COUNT_BYTES[code]
            position += width + int.from_bytes(data[position : position + width], "little")
        else:
            for _ in range(-size):
                position = data.find(b"\n", position) + 1
                if position == 0:
                    raise StoreCorrupt(f"{name}: this pickle ends within an opcode at byte {start}; it is cut off")
        if code in _STORES:
            memo.store(_slot(code, data[argument:position]), before in _TUPLES, start)
        elif code in _LOADS:
            memo.load(_slot(code, data[argument:position]), start)
            before = code
        elif code == _STOP:
            if position != end:
                raise StoreCorrupt(f"{name}: {end - position} bytes follow the end of the pickle")
            return
        elif code not in (_FRAME, _PROTO):
            if code in _TUPLES:
                memo.count_tuple(start)
            before = code
    raise StoreCorrupt(f"{name}: this pickle ends at byte {end} without its end mark; it is cut off")


def _slot(code: int, argument: bytes) -> int | None:
    """The memo slot that an opcode names; None for "the next one", -1 for no number."""
    if code == _MEMOIZE:
        return None
    if code in (_PUT, _GET):
        digits = argument[:-1]
        return int(digits) if digits.isdigit() and len(digits) < 12 else -1
    return int.from_bytes(argument, "little")


class _Memo:
    """What the unpickler's memo will hold, as far as safety needs it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last = -1
        self._numbered: bool | None = None
        self._shared_tuples: set[int] = set()
        self._tuples = 0

    def store(self, slot: int | None, is_tuple: bool, start: int) -> None:
        """Picklers number the memo in sequence; a far slot would make the unpickler allocate everything below it."""
        numbered = slot is not None
        if self._numbered is None:
            self._numbered = numbered
            self._last = 0 if slot == 1 else -1  # Python 2 began at 1
        if slot is None:
            slot = self._last + 1
        if numbered != self._numbered or not 0 <= slot <= self._last + 1:
            raise StoreCorrupt(f"{self._name}: this pickle stores memo slot {slot} out of sequence, at byte {start}")
        self._last = max(self._last, slot)
        if is_tuple:
            self._shared_tuples.add(slot)
        else:
            self._shared_tuples.discard(slot)

    def load(self, slot: int | None, start: int) -> None:
        """Tuples of the same tuples take time 2^n to hash as dict keys; data has no reason to share them."""
        if slot is None or not 0 <= slot <= self._last or slot in self._shared_tuples:
            raise StoreCorrupt(f"{self._name}: this pickle uses memo slot {slot} at byte {start}, which is refused")

    def count_tuple(self, start: int) -> None:
        """Tuples nested very deeply overflow the stack when they are hashed."""
        self._tuples += 1
        if self._tuples > _MAX_TUPLES:
            raise StoreCorrupt(f"{self._name}: this pickle holds over {_MAX_TUPLES:,} tuples at byte {start}")
