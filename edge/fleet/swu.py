"""What an image of SWUpdate holds: its sw-description, and the files that this gives a sha256.

https://sbabic.github.io/swupdate/: a cpio archive whose first member says what the others are, in
libconfig's notation, of which these two keys of each group are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256

from edge.errors import BundleError

_DESCRIPTION, _LAST = "sw-description", "TRAILER!!!"
_MAGIC, _HEAD, _FIELD = (b"070701", b"070702"), 110, 8
_SIZE, _NAME_SIZE = 6, 11  # of the fields after the magic
_DIGITS = re.compile(rb"[0-9a-fA-F]+")  # alone: int() would take signs too, and run backwards
_GROUP = re.compile(r"\{[^{}]*\}")
_FILENAME = re.compile(r'\bfilename\s*[=:]\s*"([^"]+)"')
_SHA256 = re.compile(r'\bsha256\s*[=:]\s*"([0-9a-fA-F]{64})"')


def files_of(image: bytes) -> dict[str, bytes]:
    """Each by its name, proved. BundleError for what is no such image, or not what it says."""
    members = dict(_members(image))
    if next(iter(members), None) != _DESCRIPTION:
        raise BundleError(f"the image does not begin with {_DESCRIPTION}: make it for SWUpdate")
    told = _told(members.pop(_DESCRIPTION).decode(errors="replace"))
    for name, content in members.items():
        if name not in told:
            raise BundleError(f"{_DESCRIPTION} gives no sha256 of {name}: give it one")
        if sha256(content).hexdigest() != told[name]:
            raise BundleError(f"{name} is not what {_DESCRIPTION} says")
    if missing := sorted(told.keys() - members.keys()):
        raise BundleError(f"the image has no {missing[0]}, of which {_DESCRIPTION} tells")
    return members


def _told(description: str) -> dict[str, str]:
    """sha256 of each file."""
    told = {}
    for group in _GROUP.findall(description):
        name, digest = _FILENAME.search(group), _SHA256.search(group)
        if name and digest:
            told[name[1]] = digest[1].lower()
    return told


def _members(image: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while True:
        head = image[at : at + _HEAD]
        if len(head) < _HEAD or not head.startswith(_MAGIC):
            raise BundleError("it is no whole image of SWUpdate: make it by `cpio -o -H crc`")
        if not _DIGITS.fullmatch(head, 6):
            raise BundleError("the image has a head that is none")
        fields = [int(head[start : start + _FIELD], 16) for start in range(6, _HEAD, _FIELD)]
        size, name_size = fields[_SIZE], fields[_NAME_SIZE]
        name = image[at + _HEAD : at + _HEAD + name_size - 1].decode(errors="replace")
        if name == _LAST:
            return
        start = _aligned(at + _HEAD + name_size)
        if start + size > len(image):
            raise BundleError("the image is cut off")
        yield name.removeprefix("./"), image[start : start + size]
        at = _aligned(start + size)


def _aligned(place: int) -> int:
    return place + -place % 4
