#!/usr/bin/env python3
"""Lists the accesses of a barscope trace with their registers, from the file alone.

    read_trace.py TRACE [TRACE ..]

A line an access: sequence number, function, place and register, direction and size, value, how the address came to
lead there and the virtual and physical address (or the port), and the outcome where it isn't `ok`. What is wrong with
the file goes to standard error. Exit code: 0 if all is there, 1 if something is damaged or missing, 2 if it is no trace.

This is documentation, as trace-format.md is, which says what the numbers below are. Standard library only.
"""

import gzip
import json
import struct
import sys
import zlib
from bisect import bisect_right

HEADER_BYTES = 4096
BLOCK_BYTES = 65536
SLOT_BYTES = 64
SEALED = 1 << 32
PACKED, FRAME_BYTES, PLACES, LAST, COLUMNS_BYTES = b"BARSPACK", 72, 1 << 24, (1 << 64) - 1, 1 << 17
RUNNING, STATUS = 1, {1: "running", 2: "finished", 3: "interrupted", 4: "failed"}
EVENTS, DEFINITIONS = 1, 2
ACCESS = 1
OUTCOMES = "ok unclaimed straddles reserved width alignment write-only read-only busy range".split()
KNOWN_KINDS = range(1, 25)
KNOWN_DEFINITIONS = "machine function route walk instruction mapping image process text".split()
ECAM_BYTES = 256 << 20
CONFIG_DATA = range(0xCFC, 0xD00)


def number(data, at, size):
    return int.from_bytes(data[at : at + size], "little")


def harmless(text):
    """A line for a terminal: what it would obey is a dot."""
    return "".join(character if character.isprintable() else "." for character in text)


def checksum(*parts):
    return zlib.crc32(b"".join(parts)) | SEALED


def unpacked(data):
    """The trace that a packed one holds, and whether a frame of it is broken: that block is all zeros then."""
    at, count, pages, blocks, length, broken = 16, 0, [], {}, None, number(data, 8, 8) != 1
    while length is None and at + FRAME_BYTES <= len(data):
        head = data[at : at + FRAME_BYTES]
        *words, place, lengths, about, check = struct.unpack("<9Q", head)
        size, packed = lengths & 0xFFFFFFFF, lengths >> 32
        if check != zlib.crc32(head[:64]) or size > BLOCK_BYTES - SLOT_BYTES or PLACES < place < LAST:
            at, broken = at + 8, True
            continue
        part = data[at + FRAME_BYTES : at + FRAME_BYTES + packed]
        at, count = at + FRAME_BYTES + (packed + 7) // 8 * 8, count + 1
        if place == LAST:
            length, broken = words[2], broken or words[1] + 1 != count
            continue
        content = None
        if len(part) == packed and zlib.crc32(part) == about >> 32:
            try:
                content = zlib.decompressobj(-15).decompress(part, COLUMNS_BYTES)
                if about & 0xFF:
                    content = records(content)
            except (zlib.error, IndexError):
                content = None
        if content is None or len(content) != size:
            content, broken = b"", True
        if place == 0:
            pages.append(content)
        else:
            blocks[place - 1] = struct.pack("<5Q24x", *words) + content
    if length is None:
        length, broken = HEADER_BYTES + BLOCK_BYTES * (max(blocks, default=-1) + 1), True
    trace = bytearray(pages[0] if pages else b"") + bytes(max(0, length - HEADER_BYTES))
    for place, block in blocks.items():
        at = HEADER_BYTES + place * BLOCK_BYTES
        trace[at : at + len(block)] = block
    return bytes(trace[:length]), broken


def records(columns):
    """The records that columns stand for, as trace-format.md tells it."""
    count = number(columns, 0, 2)
    classes, at = columns[2 : 2 + count], 2 + count
    distances = {kind: [[0] * 16 for _ in range(classes.count(kind))] for kind in dict.fromkeys(classes)}
    for slots in distances.values():
        for half in range(16):
            for slot in slots:
                shift = 0
                while True:
                    byte, at = columns[at], at + 1
                    slot[half] |= (byte & 0x7F) << shift
                    shift += 7
                    if byte < 0x80:
                        break
    last, last_record, content = {}, [0] * 16, bytearray()
    rows = {kind: iter(slots) for kind, slots in distances.items()}
    for kind in classes:
        foretold = list(last.get(kind, [0] * 16))
        if kind < 0x80:
            foretold[2:8] = last_record[2:8]
        steps = [number >> 1 ^ -(number & 1) for number in next(rows[kind])]
        now = [(one + step) & 0xFFFFFFFF for one, step in zip(foretold, steps)]
        last[kind] = now
        if kind < 0x80:
            last_record = now
        turned = now[15] << 8 & 0xFFFFFFFF | now[15] >> 24
        content += struct.pack("<16I", *now[:15], turned)
    return bytes(content)


def content_of(path):
    """The file's bytes, unpacked if they are compressed; of what is cut off or broken, all before that."""
    data, broken = bytearray(), False
    with open(path, "rb") as file:
        begins = file.read(8)
        if begins[:2] != b"\x1f\x8b":
            file.seek(0)
            return unpacked(file.read()) if begins == PACKED else (file.read(), False)
    try:
        with gzip.open(path) as file:
            while part := file.read(BLOCK_BYTES):
                data += part
    except (EOFError, OSError, zlib.error):
        broken = True
    return bytes(data), broken


class Trace:
    """What the file holds. `damage` says what is wrong with it, with the byte where that is."""

    def __init__(self, path):
        self.damage, self.unknown = [], 0
        self.data, cut_off = content_of(path)
        if len(self.data) < HEADER_BYTES or self.data[:8] != b"BARSCOPE":
            raise ValueError(f"{path} is no trace")
        if number(self.data, 8, 8) != 2:
            raise ValueError(f"{path} has version {number(self.data, 8, 8)}, this reads version 2")
        if cut_off:
            self.note(len(self.data), "the compressed file is broken or cut off")
        self.read_header()
        self.read_blocks()
        self.read_definitions()
        self.events.sort(key=lambda event: number(event, 8, 6))
        self.unknown += sum(event[0] not in KNOWN_KINDS for event in self.events)
        seqs = {number(event, 8, 6) for event in self.events}
        self.lost = max(self.handed_out if self.ended else 0, *seqs, 0) - len(seqs)

    def note(self, at, what):
        self.damage.append(f"{what} at byte {at:#x}")

    def lack(self, at, what):
        """The same of a block that may have held definitions."""
        self.note(at, what)
        self.broken_stream = True

    def read_header(self):
        page = self.data[:HEADER_BYTES]
        status, seal = number(page, 24, 8), number(page, 56, 8)
        sound = seal == 0 if status == RUNNING else seal == checksum(page[:56], bytes(8), page[64:])
        if not sound or status not in STATUS:
            self.note(0, "the header was changed")
            status = RUNNING
        self.status, self.ended = STATUS[status], status != RUNNING
        self.handed_out, self.defined, self.block_count = struct.unpack_from("<3Q", page, 32)
        self.reason = page[2944 : 2944 + min(number(page, 64, 8), 1024)].decode(errors="replace")
        entries = [page[at : at + 32] for at in range(128, 2176, 32)]
        self.slots = {entry[0]: entry[1] for entry in entries if entry[0]}

    def read_blocks(self):
        """Takes the blocks apart: events one by one, definitions as the pieces of one stream."""
        self.events, self.stream, self.broken_stream = [], [], False
        there, rest = divmod(len(self.data) - HEADER_BYTES, BLOCK_BYTES)
        if there < self.block_count if self.ended else rest:
            self.lack(len(self.data), "the file was cut off")
        empty = None
        for index in range(min(there, self.block_count) if self.ended else there):
            at = HEADER_BYTES + index * BLOCK_BYTES
            header = self.data[at : at + SLOT_BYTES]
            if number(header, 0, 8) == 0:
                empty = empty or at
                continue
            if empty:
                self.lack(empty, "missing block")
                empty = None
            self.read_block(index, at, header)
        if self.ended and empty:
            self.lack(empty, "missing block")

    def read_block(self, index, at, header):
        kind, first, used, place, check = header[0], *struct.unpack_from("<4Q", header, 8)
        content = at + SLOT_BYTES
        if kind not in (EVENTS, DEFINITIONS) or place != index or used > BLOCK_BYTES - SLOT_BYTES:
            return self.lack(at, "unknown kind of block")
        closed = bool(check & SEALED)
        end = content + used if closed or kind == DEFINITIONS else at + BLOCK_BYTES
        if (closed or self.ended) and check != checksum(header[:32], self.data[content:end]):
            return self.lack(at, "wrong checksum of the block")
        if kind == DEFINITIONS:
            self.broken_stream |= first != len(self.stream)
            return None if self.broken_stream else self.stream.append(self.data[content:end])
        while content < end and number(self.data, content, 8) != 0:
            length = self.slots.get(self.data[content], 0) * SLOT_BYTES
            if length == 0 or content + length > end:
                return self.note(content, "unknown kind of event")
            event = self.data[content : content + length]
            sound = event[0] != ACCESS or event[3] < len(OUTCOMES)
            self.events.append(event) if sound else self.note(content, "unknown outcome")
            content += length
        if closed and content < end:
            self.note(content, "missing event")

    def read_definitions(self):
        stream, at, self.definitions = b"".join(self.stream), 0, [None]
        while at + 8 <= len(stream):
            text, blob = struct.unpack_from("<2I", stream, at)
            end = at + 8 + (text + 7) // 8 * 8 + (blob + 7) // 8 * 8
            if text == 0 or end > len(stream):
                break
            try:
                found = json.loads(stream[at + 8 : at + 8 + text])
                self.unknown += found["define"] not in KNOWN_DEFINITIONS
            except (ValueError, TypeError, KeyError):
                self.broken_stream = True
                break
            self.definitions.append(found)
            at = end
        if self.broken_stream or (self.ended and len(self.definitions) - 1 != self.defined):
            self.damage.append("definitions are missing: names of later events are lost")

    def definition(self, id, define):
        found = self.definitions[id] if 0 < id < len(self.definitions) else {"define": None}
        return found if found["define"] == define else None

    def accesses(self):
        """All of them. In the ECAM window lies every function's configuration space, 4 KiB each."""
        ecam = None
        for one in self.definitions[1:]:
            if one["define"] == "route" and one["region"] == "config" and one["space"] == "memory" and ecam is None:
                ecam = one["base"] - 4096 * self.definition(one["function"], "function")["bdf"]
        return (Access(self, event, ecam) for event in self.events if event[0] == ACCESS)


class Access:
    """An access, with what its definitions say of it."""

    def __init__(self, trace, event, ecam):
        flags, self.size, self.outcome = event[1], event[2], OUTCOMES[event[3]]
        self.seq, self.write = number(event, 8, 6), bool(flags & 1)
        self.port = number(event, 32, 2) if flags & 4 else None
        self.address = number(event, 32, 8) if self.port is None else None
        self.value = number(event, 40, 8)
        self.walk = trace.definition(number(event, 48, 4), "walk")
        self.bdf, self.region, self.offset, maps = None, None, None, []
        if route := trace.definition(number(event, 4, 4), "route"):
            function = trace.definition(route["function"] or 0, "function")
            self.region = route["region"]
            self.offset = number(event, 36, 2) if self.address is None else self.address - route["base"]
            if function:
                self.bdf, maps = function["bdf"], function["register_maps"]
        elif self.port in CONFIG_DATA:
            self.region, self.bdf, self.offset = "config", number(event, 34, 2), number(event, 36, 2)
        elif self.address is not None and ecam is not None and 0 <= self.address - ecam < ECAM_BYTES:
            self.region, self.bdf = "config", (self.address - ecam) >> 12
            self.offset = self.address & 0xFFF
        if self.region == "config" and self.bdf is not None and not maps:
            # Nobody answers. The registers of its header would be those of any other.
            functions = (one for one in trace.definitions[1:] if one["define"] == "function")
            maps = next(functions, {}).get("register_maps", [])
        self.register = self.name_in(maps)

    def name_in(self, maps):
        if self.region == "config" and self.bdf is None:
            return "CONFIG_ADDRESS" if self.offset == 0 else f"CONFIG_ADDRESS+{self.offset:#x}"
        registers = [register for one in maps if one["region"] == self.region for register in one["registers"]]
        at = bisect_right([register["offset"] for register in registers], self.offset or 0)
        if at == 0 or self.offset >= registers[at - 1]["offset"] + registers[at - 1]["size"]:
            return "-"
        register, within = registers[at - 1], self.offset - registers[at - 1]["offset"]
        return f"{register['name']}+{within:#x}" if within or register["memory"] else register["name"]

    def __str__(self):
        name = f"BAR{self.region['bar']}" if isinstance(self.region, dict) else str(self.region).upper()
        place = f"{name}+{self.offset:#05x}" if self.region else "-"
        bdf = "-" if self.bdf is None else f"{self.bdf >> 8:02x}:{self.bdf >> 3 & 31:02x}.{self.bdf & 7}"
        where = "port" if self.address is None else "-"
        to = f"{self.port if self.address is None else self.address:x}"
        if self.walk:
            where = self.walk["path"] + ("" if self.walk["announced"] else "?")
            to = f"{self.walk['page'] | self.address & self.walk['page_size'] - 1:016x} -> {to}"
        line = f"{self.seq:>7}  {bdf:<7} {place:<14} {self.register:<20} {'W' if self.write else 'R'}{self.size}"
        return f"{line} {self.value:#x}  {where} {to}{'' if self.outcome == 'ok' else '  ' + self.outcome}"


def main(paths):
    code = 0
    for path in paths:
        trace = Trace(path)
        for access in trace.accesses():
            print(harmless(str(access)))
        if trace.lost:
            trace.damage.append(f"{trace.lost} events are lost")
        for damage in trace.damage:
            print(f"{path}: {damage}", file=sys.stderr)
        state = harmless(f"{trace.status} ({trace.reason})" if trace.reason else trace.status)
        print(f"{path}: {state}, {len(trace.events)} events, {trace.unknown} of unknown kinds", file=sys.stderr)
        code = max(code, int(bool(trace.damage)))
    return code


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]) if sys.argv[1:] else print(__doc__) or 2)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
