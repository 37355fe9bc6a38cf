"""Where things are, for the tests of model/.

By hand: PYTHONPATH=model python3 -m unittest discover -s tests/model, as tests/run.js runs them.
"""
from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "model"
SHIPPED = MODEL / "cxrlens.cxrm"
GOLDEN = ROOT / "tests" / "golden"
SAMPLES = ROOT / "web" / "samples"
CLI = Path(os.environ.get("CXRLENS", ROOT / "build" / "cxrlens"))
