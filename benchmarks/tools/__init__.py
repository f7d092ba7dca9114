"""The same task for each tool: `submit(text)` puts one job into its queue."""

import os

#: Of the tool's own server.
PORT = int(os.environ.get("BENCH_PORT", "0"))
REDIS = f"redis://127.0.0.1:{PORT}/0"
