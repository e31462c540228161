"""Lists the releases in this environment, for pip to take where tests are run: `make newest`."""

from __future__ import annotations

import platform
from importlib.metadata import distributions

_WHY = """\
# The releases with which the tests passed last: pip finds them without a search, and what is
# released tomorrow breaks nothing today. `make newest` writes this anew; any other Python looks for
# itself."""
_NOT = {"trackside", "torch", "pip", "setuptools"}  # ours, named in setup.cfg, and what venv brings


def main() -> None:
    python = ".".join(platform.python_version_tuple()[:2])
    found = {each.name: each.version for each in distributions() if each.name not in _NOT}
    print(_WHY)
    for name in sorted(found, key=str.lower):
        print(f'{name}=={found[name]} ; python_version == "{python}"')


if __name__ == "__main__":
    main()
