"""Features on a cluster: Ray's actors take the steps that threads take on one machine.

Plain actors are used instead of Ray Data's `map_batches` for three reasons. One pool of workers
serves the pass over the files and every split, while Ray Data would open the backbone again in each
pass. A task is what one machine computes in one call, while Ray Data would form its own batches.
And results arrive in the order of the tasks, a few at a time. Plain actors need only `ray` without
extras.
"""

import errno
import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.features.files import Reading
from model.features.inputs import PredictionInputs
from model.features.tasks import Task

FILES = 8
"""Files in a task, if the backbone takes pictures one by one."""

RETRIES = 3
"""Retries of a task whose worker dies. Without a limit, a photograph that crashes a process would
crash one worker after another."""

_GIVEN = 2  # tasks that a worker holds, so that the next one is ready when one is done
_AHEAD = 4  # tasks per worker that are in progress or finished but not taken; this bounds memory


class Cluster:
    """Workers that have started and agree with this process; `connect` creates a cluster."""

    def __init__(self, ray: Any, workers: dict[Any, int], files: int | None) -> None:
        """Wrap workers that have started.

        Args:
            ray: The module `ray`.
            workers: Actor -> process id.
            files: Files in a task; None to make each chunk one task.
        """
        self._ray, self._workers, self._files = ray, workers, files

    @property
    def processes(self) -> list[int]:
        """The process id that each worker had on its machine when it first started."""
        return list(self._workers.values())

    def part(self, count: int) -> "Cluster":
        """Return a cluster of the first `count` workers, which also remain in this one."""
        chosen = dict(list(self._workers.items())[:count])
        return Cluster(self._ray, chosen, self._files)

    def features(self, batches: Iterable[list[Task]]) -> Generator[list[np.ndarray]]:
        """Compute features.

        Args:
            batches: Groups of tasks, from `tasks.batches`.

        Yields:
            For each group, in order, the features of each of its tasks, float32 `[N * V, D]`.

        Raises:
            ValueError: A file cannot be read any more, has changed, or crashes workers.
        """

        def absolute(task: Task) -> Task:
            return [(absolute_path(path), digest) for path, digest in task[0]], task[1]

        tasks = (([absolute(task) for task in batch],) for batch in batches)
        yield from self._in_order("features", tasks)

    def read(
        self, chunks: Iterable[list[Path]], *, summaries: bool, views: bool
    ) -> Generator[tuple[Path, Reading | str]]:
        """Read files.

        Args:
            chunks: Chunks of as many files as one machine would read before it computes.
            summaries: Summarise the photographs.
            views: Compute the features for evaluation.

        Yields:
            Each file, in order, with its reading or the reason why it cannot be used.

        Raises:
            ValueError: A worker does not see an existing file, or a file crashes workers.
        """
        waiting: deque[list[Path]] = deque()

        def tasks() -> Iterator[tuple[list[Path], bool, bool]]:
            for chunk in chunks:
                size = self._files or max(1, len(chunk))
                for start in range(0, len(chunk), size):
                    waiting.append(chunk[start : start + size])
                    yield [absolute_path(path) for path in waiting[-1]], summaries, views

        for outcomes in self._in_order("read", tasks()):
            for path, outcome in zip(waiting.popleft(), outcomes, strict=True):
                _require_seen(path, outcome)
                yield path, outcome

    def predict(
        self, groups: Iterable[Sequence[Path]], views: Sequence[str], *, signatures: bool
    ) -> Generator[tuple[list[str], PredictionInputs | None]]:
        """Compute the inputs of the answers for photographs.

        Args:
            groups: Groups of files; the files of a group go through the backbone in one call.
            views: Names of the views that the checkpoint averages.
            signatures: Whether the checkpoint has evidence, so that signatures are needed.

        Yields:
            The result of `Worker.predict` for each group, in order.

        Raises:
            ValueError: A worker does not see an existing file, or a file crashes workers.
        """
        waiting: deque[Sequence[Path]] = deque()

        def tasks() -> Iterator[tuple[list[Path], Sequence[str], bool]]:
            for group in groups:
                waiting.append(group)
                yield [absolute_path(path) for path in group], views, signatures

        for reasons, inputs in self._in_order("predict", tasks()):
            for path, reason in zip(waiting.popleft(), reasons, strict=True):
                _require_seen(path, reason)
            yield reasons, inputs

    def _in_order(self, method: str, tasks: Iterable[tuple]) -> Iterator[Any]:
        """Yield the results of tasks in order; a bounded number of tasks is in flight."""
        coming, working = iter(tasks), {}
        free = deque(list(self._workers) * _GIVEN)
        waiting: deque[tuple[tuple, Any]] = deque()
        while True:
            while free and len(waiting) < _AHEAD * len(self._workers):
                task = next(coming, None)
                if task is None:
                    break
                worker = free.popleft()
                result = getattr(worker, method).remote(*task)
                working[result] = worker
                waiting.append((task, result))
            if not waiting:
                return
            if waiting[0][1] in working:
                done, _ = self._ray.wait(list(working), num_returns=1)
                free.extend(working.pop(one) for one in done)
            else:
                yield self._result(*waiting.popleft())

    def _result(self, task: tuple, result: Any) -> Any:
        """Wait for a result; raise here what the worker raised."""
        try:
            return self._ray.get(result)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self._ray.exceptions.RayError as error:
            raise ValueError(
                f"A task of the cluster failed {RETRIES + 1} times, because its worker died or "
                f"its machine was lost. It holds {_files_of(task)}."
            ) from error


def absolute_path(path: Path) -> Path:
    """Make a path absolute, so that it means the same in every process; links are kept."""
    return Path(os.path.abspath(path))  # noqa: PTH100 (as above)


def _require_seen(path: Path, outcome: object) -> None:
    """Make sure that a file which a worker cannot find is missing here as well.

    Raises:
        ValueError: The file exists here.
    """
    if outcome == os.strerror(errno.ENOENT).lower() and path.exists():
        raise ValueError(
            f"A worker of the cluster does not see {path}. Photographs and cache must lie on a "
            "file system that all machines see."
        )


def _files_of(task: tuple) -> str:
    """Describe the files of a task of any kind, for an error message."""
    paths = [
        path
        for part in task[0]
        for path in ([part] if isinstance(part, Path) else [path for path, _ in part[0]])
    ]
    return f"{paths[0]} and {len(paths) - 1} more files"
