"""Run the WeChat simulator alone: `python -m local.simulator --help`."""

import importlib.util
import sys
from pathlib import Path

if __name__ == "__main__":
    # The encryption of pushes is the layer's; the stack puts it on the path, `make` need not.
    if importlib.util.find_spec("wechat_kf") is None:
        sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "layers" / "shared"))
    from local.simulator.server import main

    main()
