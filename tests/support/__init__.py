"""What the tests share: the tables, how a kernel is called and judged, the checks."""

import os

# The suite chooses backends and levels itself, whatever the caller's shell has set; this is
# read before fastnn is first imported.
for name in ("FASTNN_BACKEND", "FASTNN_SIMD"):
    os.environ.pop(name, None)
