"""Everything that runs on the box but the pins."""

import os

# ONNX Runtime writes an identifier of the machine into the home, and would report what it runs to
# its maker, unless this is there before it is imported. A box tells nobody whom it was not told to.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
