"""Seals a Cortex-M image with its CRC-32 and a board's serial number; packs the RP2040's as a UF2.

    python3 seal.py [--serial HEX] IMAGE.elf [IMAGE.uf2]

The ELF is sealed in its place. The RP2040's second boot stage gets the CRC that its boot ROM wants.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from struct import Struct
from zlib import crc32

_HEADER = Struct("<16sHHIIIIIHHHHHH")  # of an ELF of 32 bits
_SEGMENT = Struct("<8I")
_SECTION = Struct("<10I")
_SEAL = Struct("<IQ")
_NO_SERIAL = 2**64 - 1
_LOAD = 1
_BOOT_BYTES = 252  # of the second boot stage, before its CRC
_UF2 = Struct("<8I476sI")
_UF2_MAGIC = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_UF2_FAMILY = 0xE48BFF56  # RP2040
_UF2_IS_FAMILY = 0x2000
_PAGE = 256
_FLASH = 0x10000000


def boot_crc(stage: bytes) -> int:
    """As the RP2040's boot ROM reckons it: nothing inverted, highest bit first."""
    crc = 0xFFFFFFFF
    for byte in stage:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)) & 0xFFFFFFFF
    return crc


def sections(elf: bytes) -> dict[str, tuple[int, int, int]]:
    """Each section's address, place in the file, and length."""
    head = _HEADER.unpack_from(elf)
    at, size, count, names = head[6], head[11], head[12], head[13]
    found = [_SECTION.unpack_from(elf, at + i * size) for i in range(count)]
    strings = elf[found[names][4] :]
    return {
        strings[each[0] : strings.index(b"\0", each[0])].decode(): (each[3], each[4], each[5])
        for each in found
    }


def loaded(elf: bytes) -> dict[int, bytes]:
    """What is loaded, by the physical address it is loaded to."""
    head = _HEADER.unpack_from(elf)
    at, size, count = head[5], head[9], head[10]
    parts = {}
    for i in range(count):
        kind, offset, _, physical, in_file, _, _, _ = _SEGMENT.unpack_from(elf, at + i * size)
        if kind == _LOAD and in_file:
            parts[physical] = elf[offset : offset + in_file]
    return parts


def flat(elf: bytes) -> tuple[int, bytes]:
    """The image as it lies in flash, and where it begins."""
    parts = loaded(elf)
    start = min(parts)
    image = bytearray(b"\xff" * (max(a + len(b) for a, b in parts.items()) - start))
    for address, content in parts.items():
        image[address - start : address - start + len(content)] = content
    return start, bytes(image)


def seal(elf: bytes, serial: int) -> bytes:
    """The ELF with the CRCs that the board and its boot ROM hold the flash against."""
    sealed, places = bytearray(elf), sections(elf)
    if ".boot2" in places:
        _, offset, length = places[".boot2"]
        if length != _BOOT_BYTES + 4:
            sys.exit(f"the second boot stage has {length} bytes: it must have {_BOOT_BYTES + 4}")
        stage = bytes(sealed[offset : offset + _BOOT_BYTES])
        sealed[offset + _BOOT_BYTES : offset + length] = boot_crc(stage).to_bytes(4, "little")
    text = places[".text"][0]
    _, offset, _ = places[".seal"]
    start, image = flat(bytes(sealed))
    crc = crc32(image[text - start : -_SEAL.size])
    _SEAL.pack_into(sealed, offset, crc, serial or _NO_SERIAL)
    return bytes(sealed)


def uf2(start: int, image: bytes) -> bytes:
    """The image in blocks of a flash page, as the RP2040's boot ROM takes them from its drive."""
    pages = [image[at : at + _PAGE] for at in range(0, len(image), _PAGE)]
    first, second, last = _UF2_MAGIC
    return b"".join(
        _UF2.pack(
            first,
            second,
            _UF2_IS_FAMILY,
            start + number * _PAGE,
            _PAGE,
            number,
            len(pages),
            _UF2_FAMILY,
            page.ljust(_PAGE, b"\xff"),
            last,
        )
        for number, page in enumerate(pages)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serial", type=lambda digits: int(digits, 16), default=0)
    parser.add_argument("elf", type=Path)
    parser.add_argument("uf2", type=Path, nargs="?")
    asked = parser.parse_args()
    elf = seal(asked.elf.read_bytes(), asked.serial)
    asked.elf.write_bytes(elf)
    start, image = flat(elf)
    if asked.uf2 is None:
        return
    if start != _FLASH:
        sys.exit(f"{asked.elf} begins at {start:#x}: a UF2 begins with the second boot stage")
    asked.uf2.write_bytes(uf2(start, image))


if __name__ == "__main__":
    main()
