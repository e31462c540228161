"""A file that is replaced is the old one or the new one, whatever goes wrong meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import UsageError
from edge.files import check_writable, replacing, write_whole


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_whole(path, "old")
    with path.open() as reader:
        write_whole(path, "new, µm")
        assert reader.read() == "old"
    assert path.read_text(encoding="utf-8") == "new, µm"
    assert list(tmp_path.iterdir()) == [path]


def test_what_goes_wrong_while_it_is_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    write_whole(path, b"old")
    with pytest.raises(OSError, match="full"), replacing(path) as unfinished:
        unfinished.write_bytes(b"ne")
        raise OSError("the disk is full")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_could_not_be_written_after_long_work_is_refused_before_it(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_whole(path, "old")
    check_writable(path, None, tmp_path / "new.html")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
    for refused in (tmp_path, tmp_path / "no" / "page.html", Path("-"), Path("/proc/page.html")):
        with pytest.raises(UsageError, match="name a file"):
            check_writable(refused)
