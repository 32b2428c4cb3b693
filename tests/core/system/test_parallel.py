"""Work over many items: same outcomes wherever it runs, and nothing lost when a worker is."""

import os
import pickle
import signal
import socket
import time
from functools import partial
from pathlib import Path

import pytest

from core import errors
from core.errors import ConfigError, CSpineError, DicomSeriesError, HeldError, WorkerError
from core.system.parallel import Outcome, Workers, run_over
from tests.core.system import parallel_tasks
from tests.core.system.cluster import loopback_cluster

pytestmark = pytest.mark.slow

PLACES = ["here", "processes", "cluster"]


@pytest.fixture(params=PLACES)
def workers(request):
    if request.param == "cluster":
        return Workers(dask=request.getfixturevalue("cluster").address)
    return Workers(jobs=1 if request.param == "here" else 2)


def marks(folder):
    return len(list(folder.iterdir()))


def test_every_item_comes_back_once_with_its_value(workers):
    items = [3, 1, 1, 2]
    outcomes = list(run_over(parallel_tasks.square, items, workers=workers))
    assert sorted((o.item, o.value) for o in outcomes) == [(1, 1), (1, 1), (2, 4), (3, 9)]
    assert all(o.error is None for o in outcomes)


def test_a_typed_error_belongs_to_its_item_and_keeps_its_words(workers):
    items = [Path(str(number)) for number in range(4)]
    outcomes = {o.item: o for o in run_over(parallel_tasks.refuse_odd, items, workers=workers)}
    assert set(outcomes) == set(items)
    assert outcomes[Path("2")] == Outcome(Path("2"), "2", None)
    failed = outcomes[Path("3")]
    assert failed.value is None
    assert isinstance(failed.error, DicomSeriesError)
    assert str(failed.error) == "3: the number is odd; give an even one."
    assert (failed.error.path, failed.error.remedy) == (Path("3"), "give an even one")


def test_any_other_error_stops_the_run(workers):
    with pytest.raises(ZeroDivisionError):
        list(run_over(parallel_tasks.divide, [1, 0, 2], workers=workers))


def test_progress_counts_from_nought_to_all_in_the_callers_thread(workers):
    calls = []
    list(
        run_over(
            parallel_tasks.square, range(3), workers=workers, progress=lambda *c: calls.append(c)
        )
    )
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_no_items_need_no_workers():
    nowhere = Workers(dask="tcp://127.0.0.1:1")
    assert list(run_over(parallel_tasks.square, [], workers=nowhere)) == []


def test_one_job_is_this_process_and_more_are_others():
    here = [o.value for o in run_over(parallel_tasks.own_pid, range(3), workers=Workers(jobs=1))]
    there = [o.value for o in run_over(parallel_tasks.own_pid, range(3), workers=Workers(jobs=2))]
    assert set(here) == {os.getpid()}
    assert os.getpid() not in there


def test_one_job_works_as_the_results_are_taken(tmp_path):
    results = run_over(partial(parallel_tasks.mark_and_wait, tmp_path, 0), range(5),
                       workers=Workers(jobs=1))  # fmt: skip
    assert marks(tmp_path) == 0
    next(results)
    assert marks(tmp_path) == 1


def test_closing_cancels_what_has_not_begun(workers, tmp_path):
    results = run_over(
        partial(parallel_tasks.mark_and_wait, tmp_path, 0.05), range(200), workers=workers
    )
    next(results)
    results.close()
    # What was under way may end; a cancelled run of 200 would go on for five seconds.
    time.sleep(0.3)
    begun = marks(tmp_path)
    time.sleep(0.3)
    assert marks(tmp_path) == begun
    assert 1 <= begun < 100


@pytest.mark.server
def test_killing_a_cluster_worker_midway_loses_nothing(tmp_path):
    (tmp_path / "marks").mkdir()
    work = partial(parallel_tasks.mark_and_wait, tmp_path / "marks", 0.1)
    with loopback_cluster(tmp_path) as cluster:
        results = run_over(work, range(30), workers=Workers(dask=cluster.address))
        outcomes = []
        for outcome in results:
            outcomes.append(outcome)
            if len(outcomes) == 4:
                os.kill(cluster.pids[0], signal.SIGKILL)
    assert sorted(o.value[0] for o in outcomes) == list(range(30))
    assert all(o.error is None for o in outcomes)
    survivor = {o.value[1] for o in outcomes[-10:]}
    assert cluster.pids[0] not in survivor


@pytest.mark.server
def test_an_item_that_kills_every_cluster_worker_is_named_and_the_others_go_on(tmp_path):
    settings = {
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0",
    }
    with loopback_cluster(tmp_path, settings=settings) as cluster:
        work = partial(parallel_tasks.kill_own_process, 2)
        outcomes = list(run_over(work, range(6), workers=Workers(dask=cluster.address)))
    assert sorted(o.value for o in outcomes if o.error is None) == [0, 1, 3, 4, 5]
    (failed,) = [o for o in outcomes if o.error is not None]
    assert failed.item == 2
    assert isinstance(failed.error, WorkerError)


def test_a_local_process_that_dies_once_loses_nothing(tmp_path):
    work = partial(parallel_tasks.kill_own_process_once, tmp_path / "died")
    outcomes = list(run_over(work, range(10), workers=Workers(jobs=2)))
    assert sorted(o.value for o in outcomes) == list(range(10))


def test_a_process_that_loads_networks_and_a_series_is_kept():
    outcomes = run_over(parallel_tasks.hold_memory, range(12), workers=Workers(jobs=2))
    assert len({o.value for o in outcomes}) <= 2


def test_an_item_that_kills_its_local_process_is_named_and_the_others_go_on():
    work = partial(parallel_tasks.kill_own_process, 7)
    outcomes = list(run_over(work, range(12), workers=Workers(jobs=2)))
    assert sorted(o.item for o in outcomes) == list(range(12))
    (failed,) = [o for o in outcomes if o.error is not None]
    assert failed.item == 7
    assert isinstance(failed.error, WorkerError)


def test_a_scheduler_that_is_not_there_is_a_clear_error(monkeypatch):
    monkeypatch.setattr("core.system.parallel.CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConfigError, match=f"No dask scheduler answers at tcp://127.0.0.1:{port}"):
        list(run_over(parallel_tasks.square, [1], workers=Workers(dask=f"tcp://127.0.0.1:{port}")))


def test_a_server_that_never_answers_is_a_clear_error(monkeypatch):
    monkeypatch.setattr("core.system.parallel.CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ConfigError, match="No dask scheduler answers"):
            list(run_over(parallel_tasks.square, [1], workers=Workers(dask=address)))


@pytest.mark.server
def test_a_scheduler_without_workers_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr("core.system.parallel.FIRST_WORKER_SECONDS", 0.5)
    with (
        loopback_cluster(tmp_path, workers=0) as cluster,
        pytest.raises(ConfigError, match="has no worker"),
    ):
        list(run_over(parallel_tasks.square, [1], workers=Workers(dask=cluster.address)))


@pytest.mark.server
def test_a_scheduler_that_is_lost_midway_is_a_clear_error_without_a_traceback(tmp_path, capfd):
    (tmp_path / "marks").mkdir()
    work = partial(parallel_tasks.mark_and_wait, tmp_path / "marks", 0.1)
    with loopback_cluster(tmp_path) as cluster:
        results = run_over(work, range(50), workers=Workers(dask=cluster.address))
        next(results)
        os.kill(cluster.scheduler_pid, signal.SIGKILL)
        with pytest.raises(ConfigError, match="was lost; start it and its workers again"):
            list(results)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("lost", ["scheduler_in", "workers_in"])
@pytest.mark.server
def test_a_cluster_started_elsewhere_is_a_clear_error(tmp_path, lost):
    with (
        loopback_cluster(tmp_path, workers=1, **{lost: tmp_path}) as cluster,
        pytest.raises(ConfigError, match="has no module core; start the scheduler and the workers"),
    ):
        list(run_over(parallel_tasks.square, [1], workers=Workers(dask=cluster.address)))


@pytest.mark.parametrize(
    "wrong", [{"jobs": 0}, {"jobs": -1}, {"dask": "localhost"}, {"dask": ""}, {"dask": "tcp://a"}]
)
def test_workers_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError):
        Workers(**wrong)


def test_every_typed_error_can_leave_its_process():
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, CSpineError)]
    arguments = {
        DicomSeriesError: (Path("a"), "b", "c"),
        HeldError: (Path("run") / ".lock", 17, "host"),
    }
    made = [kind(*arguments.get(kind, ("a sentence.",))) for kind in kinds]
    for error in made:
        back = pickle.loads(pickle.dumps(error))
        assert type(back) is type(error)
        assert str(back) == str(error)
