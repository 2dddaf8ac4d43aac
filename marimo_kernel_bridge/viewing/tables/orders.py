"""The row ids of the newest queries, in their order, so that each page of one query need not compute them again.

What one thread computes, others that want the same wait for. What nobody waits for ends.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from marimo_kernel_bridge.viewing.behind import run_behind
from marimo_kernel_bridge.viewing.table import Cancellation, CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KEPT: Final = 4
_POLL: Final = 0.05
_LOOKED_AT: Final = 0.5
"""Seconds for which somebody looks at the begin of an order before the whole of it is computed, which takes all processors: sorts and
filters are often replaced by others at once."""
T = TypeVar("T")


class Orders(Generic[T]):
    """What was computed for the newest keys."""

    def __init__(self, dropped: Callable[[T], object] = lambda _result: None) -> None:
        """Call `dropped` with each result that is forgotten."""
        self._dropped = dropped
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Future[T]] = OrderedDict()
        self._readers: Counter[Future[T]] = Counter()
        self._forgotten: set[Future[T]] = set()  # what is still read
        self._behind = Cancellation()
        self._behind_key = ""

    def known(self, key: str) -> T | None:
        """Return the result for a key if it is there."""
        with self._lock:
            future = self._known.get(key)
        return future.result() if future is not None and _succeeded(future) else None

    def get(self, key: str, compute: Callable[[Cancellation], T], cancellation: Cancellation) -> T:
        """Return the result for a key; compute it if nobody does."""
        while True:
            future, mine = self._claimed(key)
            if mine:
                return self._computed(key, future, compute, cancellation)
            while not future.done():
                cancellation.check()
                try:
                    future.exception(timeout=_POLL)
                except TimeoutError:
                    continue
            if _succeeded(future):
                return future.result()
            # It was cancelled by whoever waited for it, or failed: what this caller wants it computes itself

    @contextmanager
    def read(self, key: str, compute: Callable[[Cancellation], T], cancellation: Cancellation) -> Iterator[T]:
        """Yield the result for a key as `get` returns it. Until the end of the block it is not dropped."""
        while True:
            self.get(key, compute, cancellation)
            with self._lock:
                future = self._known.get(key)
                if future is not None and _succeeded(future):
                    self._readers[future] += 1
                    break
            cancellation.check()  # it was forgotten meanwhile: once more
        try:
            yield future.result()
        finally:
            with self._lock:
                self._readers[future] -= 1
                if drop := not self._readers[future] and future in self._forgotten:
                    self._forgotten.remove(future)
                self._readers = +self._readers
            if drop:
                self._dropped(future.result())

    def look_at(self, key: str) -> None:
        """Note whose rows are shown: what is computed behind those of another key ends, or does not begin."""
        with self._lock:
            if key != self._behind_key:
                self._behind.cancel()
                self._behind_key = ""

    def behind(self, key: str, compute: Callable[[Cancellation], T]) -> None:
        """Compute the result for a key in a thread, in place of the one before, if it is still looked at in a moment."""
        with self._lock:
            if key == self._behind_key or key in self._known:
                return
            self._behind.cancel()
            self._behind, self._behind_key = Cancellation(), key
            cancellation = self._behind

        def work() -> None:
            try:
                cancellation.check()
                if self.known(key) is None:
                    self.get(key, compute, cancellation)
            except Exception:  # noqa: BLE001  # whoever asks for the result computes it again, and is told
                with self._lock:
                    if self._behind is cancellation:
                        self._behind_key = ""

        run_behind(work, "order of a view", _LOOKED_AT)

    def close(self) -> None:
        """Forget all results; computing behind ends."""
        with self._lock:
            self._behind.cancel()
            forgotten = list(self._known.values())
            self._known.clear()
        self._forget(forgotten)

    def _claimed(self, key: str) -> tuple[Future[T], bool]:
        with self._lock:
            future = self._known.get(key)
            if future is not None and (not future.done() or _succeeded(future)):
                self._known.move_to_end(key)
                return future, False
            future = self._known[key] = Future()
            self._known.move_to_end(key)
            forgotten = [self._known.popitem(last=False)[1] for _ in range(len(self._known) - _KEPT)]
        self._forget(forgotten)
        return future, True

    def _forget(self, futures: list[Future[T]]) -> None:
        with self._lock:
            read = {future for future in futures if future in self._readers}
            self._forgotten |= read
        for future in futures:
            if future in read:
                continue
            future.add_done_callback(lambda done: self._dropped(done.result()) if _succeeded(done) else None)

    def _computed(
        self,
        key: str,
        future: Future[T],
        compute: Callable[[Cancellation], T],
        cancellation: Cancellation,
    ) -> T:
        try:
            result = compute(cancellation)
        except BaseException as error:
            with self._lock:
                if self._known.get(key) is future:
                    del self._known[key]
            future.set_exception(error if isinstance(error, Exception) else CancelledError())
            raise
        future.set_result(result)
        return result


def _succeeded(future: Future[T]) -> bool:
    return future.done() and future.exception() is None
