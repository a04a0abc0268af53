"""Imported before torch by every module that loads it: OpenMP's threads must not spin while they wait.

libgomp reads its spin count once, when it is loaded. With its default a single busy neighbour process slows two
threads 6 to 30 times; 1000 keeps over 40% of the quiet speed there and costs about a tenth of it when quiet.
"""

from __future__ import annotations

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")
