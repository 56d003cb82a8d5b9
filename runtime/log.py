"""Where the runtime tells what happens while it runs: the logger `edge_sdk.runtime`."""

from __future__ import annotations

import logging

log = logging.getLogger("edge_sdk.runtime")
