"""Which worker of pytest-xdist gets which tests, and when.

Owns what must stay in one process; the order is that of the collection (`conftest`). Imported only where pytest-xdist is installed.
"""

from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

BROWSER = "tests/browser"


class Scheduler(LoadFileScheduling):
    """Gives each file to one worker, and the browser's files all to the same: one Chromium and one JupyterLab.

    Most workers begin with what comes first, the tests that wait for other processes; the last begins with what comes
    last, which computes. So the processors are busy from the beginning to the end.
    """

    def _split_scope(self, nodeid: str) -> str:
        return BROWSER if nodeid.startswith(f"{BROWSER}/") else super()._split_scope(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if node is self.nodes[-1] is not self.nodes[0]:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)
