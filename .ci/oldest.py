"""Prints each dependency of the box at the oldest release that setup.cfg allows, for pip.

    python .ci/oldest.py EXTRA... > constraints.txt

A lower bound is a promise, which nobody keeps by testing with the newest releases alone.
"""

from __future__ import annotations

import re
import sys
from configparser import ConfigParser
from pathlib import Path

_REQUIREMENT = re.compile(r"([\w.-]+)>=([\w.]+)(;.*)?")


def main(extras: list[str]) -> None:
    """One requirement a line."""
    setup = ConfigParser()
    setup.read(Path(__file__).parent.parent / "setup.cfg", encoding="utf-8")
    asked = setup["options"]["install_requires"].splitlines()
    for extra in extras:
        asked += setup["options.extras_require"][extra].splitlines()
    for line in filter(None, map(str.strip, asked)):
        found = _REQUIREMENT.fullmatch(line.replace(" ", ""))
        if found is None:
            sys.exit(f"{line}: give a lower bound and nothing else, NAME>=RELEASE")
        print(f"{found[1]}=={found[2]}{found[3] or ''}")


if __name__ == "__main__":
    main(sys.argv[1:])
