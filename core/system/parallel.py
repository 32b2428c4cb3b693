"""One function over many items: in local processes, or on the workers of a dask cluster.

A typed error belongs to its item and does not stop the others; a lost worker does not lose items.
The function should write its result atomically (`core.system.atomic_files`), since an item whose
worker was lost is run again, and closing a run early interrupts some items.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import re
import warnings
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from joblib import Parallel, cpu_count, delayed
from joblib.externals.loky import process_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from core.errors import ConfigError, CSpineError, WorkerError
from core.types import Progress

if TYPE_CHECKING:
    from distributed import Client, Future

Item = TypeVar("Item")
Result = TypeVar("Result")

CONNECT_SECONDS: Final = 6.0
"""How long a scheduler may take to answer."""
FIRST_WORKER_SECONDS: Final = 60.0
"""How long the first worker of a cluster may take to start; a batch queue may be slow."""
PROCESS_GROWTH_BYTES: Final = 4 << 30
"""Growth above which a local process is replaced by a new one; networks and a series fit in it."""

_ADDRESS: Final = re.compile(r"(tcp|tls|ucx|ws|wss)://[^/\s]+:\d+/?")


@dataclass(frozen=True, slots=True)
class Workers:
    """Where the work is done.

    Attributes:
        jobs: Local processes; None means one per core, 1 means this process.
        dask: Address of a dask scheduler, "tcp://host:port"; `jobs` is then ignored.

    Raises:
        ConfigError: `jobs` is below 1, or `dask` is not an address.
    """

    jobs: int | None = None
    dask: str | None = None

    def __post_init__(self) -> None:
        if self.jobs is not None and self.jobs < 1:
            raise ConfigError(f"jobs is {self.jobs}; give at least one process.")
        if self.dask is not None and not _ADDRESS.fullmatch(self.dask):
            raise ConfigError(
                f"{self.dask!r} is not a scheduler's address; write it as tcp://host:port."
            )


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Result]):
    """Result of one item: a value, or a typed error.

    Attributes:
        item: The item.
        value: Return value of the function; None if it failed.
        error: Reason of the failure; None if it succeeded.
    """

    item: Item
    value: Result | None
    error: CSpineError | None = None


def run_over(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: Workers = Workers(),
    progress: Progress | None = None,
) -> Generator[Outcome[Item, Result], None, None]:
    """Call `function` on every item and yield the outcomes as they come, in any order.

    Closing the generator cancels items that have not started. An item whose worker dies is run
    again and gets a WorkerError if that worker dies too: on this machine alone in a new process; on
    a cluster as often as the scheduler's `distributed.scheduler.allowed-failures` allows.

    Args:
        function: Top-level callable, or a `functools.partial` of one; it and its results must be
            picklable.
        items: Finite, and small because they are sent to other processes (a path, not an array).
        workers: Local processes or a cluster.
        progress: Called in the caller's thread with (items done, items in all), first with 0.

    Raises:
        ConfigError: The scheduler cannot be reached, is lost, or has no suitable worker.
        Exception: Any error of `function` that is not a CSpineError, immediately.
    """
    waiting = list(items)
    if progress is not None:
        progress(0, len(waiting))
    if not waiting:
        return
    guarded = functools.partial(_guarded, function)
    if workers.dask is not None:
        outcomes = _on_cluster(guarded, waiting, workers.dask)
    else:
        jobs = min(workers.jobs or cpu_count(), len(waiting))
        here = (guarded(task) for task in enumerate(waiting))
        outcomes = _in_processes(guarded, waiting, jobs) if jobs > 1 else here
    with contextlib.closing(outcomes):
        for done, outcome in enumerate(outcomes, start=1):
            if progress is not None:
                progress(done, len(waiting))
            yield Outcome(waiting[outcome.item], outcome.value, outcome.error)


_Task = tuple[int, Any]
_Answer = Outcome[int, Any]
"""An outcome with its item's position: the item itself need not be sent back."""
_Answers = Generator[_Answer, None, None]
_Guarded = Callable[[_Task], _Answer]


def _guarded(function: Callable[[Any], Any], task: _Task) -> _Answer:
    position, item = task
    try:
        return Outcome(position, function(item))
    except CSpineError as error:
        return Outcome(position, None, error)


def _in_processes(guarded: _Guarded, items: Sequence[Any], jobs: int) -> _Answers:
    """Run on `jobs` >= 2 processes; after one dies, find the item that caused it.

    The items in progress run again one by one. If none of them kills its process, memory was too
    short for so many at a time, and half as many processes continue.
    """
    left: dict[int, Any] = dict(enumerate(items))
    while left:
        try:
            for answer in _together(guarded, list(left.items()), jobs):
                del left[answer.item]
                yield answer
        except TerminatedWorkerError:
            suspects = list(left.items())[: 2 * jobs]
            guilty = False
            for answer in map(functools.partial(_alone, guarded), suspects):
                guilty |= isinstance(answer.error, WorkerError)
                del left[answer.item]
                yield answer
            jobs = jobs if guilty else max(jobs // 2, 1)


def _together(guarded: _Guarded, tasks: Sequence[_Task], jobs: int) -> _Answers:
    if jobs == 1:
        yield from map(functools.partial(_alone, guarded), tasks)
        return
    parallel = _pool(jobs)
    answers: _Answers = parallel(delayed(guarded)(task) for task in tasks)
    try:
        for answer in answers:  # noqa: UP028 - `yield from` would hand a close straight on
            yield answer
    finally:
        with warnings.catch_warnings():
            # joblib counts the tasks that a close cancels; here that is what the caller asked for.
            warnings.simplefilter("ignore", UserWarning)
            answers.close()


def _pool(jobs: int) -> Callable[[Iterable[Any]], _Answers]:
    options: dict[str, Any] = {"batch_size": 1, "initializer": _allow_growth}
    return cast(Any, Parallel(n_jobs=jobs, return_as="generator_unordered", **options))


def _allow_growth() -> None:
    """Raise loky's limit of 300 MB, which takes a loaded CT series for a leak."""
    cast(Any, process_executor)._MAX_MEMORY_LEAK_SIZE = PROCESS_GROWTH_BYTES


def _alone(guarded: _Guarded, task: _Task) -> _Answer:
    """Run one task in a separate process; with a single job joblib would run it in this one."""
    try:
        (answer,) = _pool(2)([delayed(guarded)(task)])
        return answer
    except TerminatedWorkerError:
        return Outcome(task[0], None, _killed())


def _on_cluster(guarded: _Guarded, items: Sequence[Any], address: str) -> _Answers:
    from distributed import CancelledError, KilledWorker, as_completed
    from distributed.comm.core import CommClosedError

    with _client(address) as client:
        futures: list[Future[Any]] = client.map(guarded, list(enumerate(items)), pure=False)
        positions = {future.key: position for position, future in enumerate(futures)}
        try:
            for future in as_completed(futures, loop=client.loop):
                try:
                    yield future.result()
                except KilledWorker:
                    yield Outcome(positions[future.key], None, _killed())
                except (CancelledError, CommClosedError) as error:
                    raise ConfigError(
                        f"The dask scheduler at {address} was lost; start it and its workers "
                        "again and repeat the command, what was finished is kept."
                    ) from error
                except ModuleNotFoundError as error:
                    raise _other_environment(error) from error
                # Lets the scheduler drop the result from its workers' memory.
                future.release()
        finally:
            client.cancel(futures)


@contextlib.contextmanager
def _client(address: str) -> Generator[Client, None, None]:
    """Connect; raise ConfigError if no scheduler answers or no worker starts."""
    from distributed import Client

    # Its logged errors come back here as exceptions or are resolved by a retry.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        # A client whose first connection fails hangs and writes on standard error when collected.
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(asyncio.run, _shake_hands(address)).result()
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, MemoryError) as error:
        raise ConfigError(
            f"No dask scheduler answers at {address}; start one with `python -m dask scheduler` "
            "and give the tcp:// address that it prints."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=FIRST_WORKER_SECONDS)
        except TimeoutError as error:
            raise ConfigError(
                f"The dask scheduler at {address} has no worker; start some with "
                "`python -m dask worker`."
            ) from error
        _check_environment(client)
        yield client


def _check_environment(client: Client) -> None:
    """Raise ConfigError where the scheduler or a worker cannot import the program."""

    # Nested, so that it is pickled as code and not by the name of a module that may be missing.
    def import_program() -> None:
        import core.system.parallel  # noqa: F401  # pyright: ignore[reportUnusedImport]

    try:
        client.run_on_scheduler(import_program)
        client.run(import_program)
    except ModuleNotFoundError as error:
        raise _other_environment(error) from error


def _other_environment(error: ModuleNotFoundError) -> ConfigError:
    return ConfigError(
        f"A process of the dask cluster has no module {error.name}; start the scheduler and the "
        "workers in the program's folder with its own Python, as `python -m dask worker …`."
    )


async def _shake_hands(address: str) -> None:
    """Raise OSError if nothing answers, MemoryError or ValueError if the peer is not dask."""
    from distributed.comm.core import connect

    # The time limit of `connect` does not cover its handshake, which could wait for ever.
    shake = connect(address, timeout=CONNECT_SECONDS)
    comm = await asyncio.wait_for(shake, 1.1 * CONNECT_SECONDS)
    await comm.close()


def _killed() -> WorkerError:
    return WorkerError(
        "Every process that took it died, most likely for lack of memory; use fewer processes or "
        "give the workers more memory, and repeat the command."
    )
