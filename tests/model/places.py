"""Where things are, for the tests of model/; importing it lets them import the library and the steps."""
from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "model"
SHIPPED = MODEL / "cxrlens.cxrm"
GOLDEN = ROOT / "tests" / "golden"
SAMPLES = ROOT / "web" / "samples"
CLI = Path(os.environ.get("CXRLENS", ROOT / "build" / "cxrlens"))

sys.path[:0] = [str(MODEL), str(Path(__file__).parent)]
