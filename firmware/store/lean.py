"""Imports sqlite_utils without numpy.

It takes numpy along wherever that is installed, for columns of numpy's types, which no store of the box has. A daemon
that does not calculate saves 8.5 MB (measured with numpy 2.4, PSS).
"""

from __future__ import annotations

import importlib
import sys

if "sqlite_utils" not in sys.modules and "numpy" not in sys.modules:
    sys.modules["numpy"] = None  # type: ignore[assignment]  # the documented way to make an import fail
    try:
        importlib.import_module("sqlite_utils")
    finally:
        del sys.modules["numpy"]
