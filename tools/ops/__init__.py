"""Commands for operators, against a deployed or a local stack."""

import sys
from pathlib import Path

# Makes `python -m tools.ops.…` work from a clone: the package is where the layer is built from.
sys.path.append(str(Path(__file__).parents[2] / "layers" / "shared"))
