"""Which worker of pytest-xdist gets which tests, and when.

Owns what must stay in one process; the order is that of the collection (`conftest`). Imported only where pytest-xdist is installed.
"""

from xdist.scheduler import LoadFileScheduling

BROWSER = "tests/browser"


class Scheduler(LoadFileScheduling):
    """Gives each file to one worker, and the browser's files all to the same: one Chromium and one JupyterLab."""

    def _split_scope(self, nodeid: str) -> str:
        return BROWSER if nodeid.startswith(f"{BROWSER}/") else super()._split_scope(nodeid)
