"""`python -m benchmarks.fleet`: fifty boxes take releases under kills, and what asking costs.

With `--boxes 50` a bad release, a good one, and kills at each step; with `--cost` what an agent
takes, and what a server bears.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.fleet.cost import cost
from benchmarks.fleet.trial import Trial


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--boxes", type=int, default=50, help="how many")
    parser.add_argument("--minutes", type=float, default=30, help="longest that a step may take")
    parser.add_argument("--cost", action="store_true", help="measure agent and server instead")
    parser.add_argument("--idle-s", type=float, default=60, help="how long the agent is looked at")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        if asked.cost:
            print(json.dumps(cost(Path(home), asked.idle_s), indent=2))
            return
        result = Trial(Path(home), asked.boxes, asked.minutes * 60).run()
    print(json.dumps(result, indent=2))
    sys.exit(0 if result["passed"] else 1)


if __name__ == "__main__":
    main()
