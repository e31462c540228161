"""Where things lie in the repository, for tests and for the programs that they start."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "edge" / "examples"
STEEL_LINE = EXAMPLES / "steel.yaml"  # the smallest line there is
RECIPES = ROOT / "reference" / "recipes"
RECORDING = ROOT / "tests" / "recordings" / "simulated_line"
TESTS_PATH = os.pathsep.join(
    [str(ROOT), str(ROOT / "tests")]
)  # for PYTHONPATH: `stands` and the house
