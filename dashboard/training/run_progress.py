"""Order, progress, curves and results of runs on the Training page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import pandas as pd

from core.training.resources import EVENT
from core.training.run_list import RunSummary, last_metrics, read_metrics
from core.training.run_status import RunStatus
from core.training.runs import RunFolder
from dashboard.session.wording import number, time_left
from dashboard.training.curves import Curves, RunLines
from dashboard.training.run_form import labels_of

RECENT_LINES = 20
"""Number of last metrics from which the speed is estimated."""


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Progress of a run.

    Attributes:
        share: Share done, 0 to 1.
        text: Progress in words, with the time left where known.
    """

    share: float
    text: str


def in_order(runs: Iterable[RunSummary]) -> list[RunSummary]:
    """Put folds and trials below their run; the most recently active runs come first."""
    groups: dict[str, list[RunSummary]] = {}
    for run in runs:
        groups.setdefault(run.run_id.partition("/")[0], []).append(run)
    newest_first = sorted(groups.values(), key=lambda group: -max(run.changed for run in group))
    return [run for group in newest_first for run in sorted(group, key=lambda run: run.run_id)]


def members_of(run: RunSummary, runs: Iterable[RunSummary]) -> list[RunSummary]:
    """The folds or trials of a run, by name; empty for a single run."""
    found = (other for other in runs if other.run_id.startswith(f"{run.run_id}/"))
    return sorted(found, key=lambda member: member.run_id)


def curves_of(run: RunSummary, members: Sequence[RunSummary] = ()) -> Curves:
    """Measured lines of a run; of a run over folds, those of each fold."""
    if not members and run.config is not None and run.config.fold == "all":
        return {}
    shown = {member.run_id.rpartition("/")[2]: member for member in members} or {run.run_id: run}
    return {name: _lines_of(each) for name, each in shown.items()}


def _lines_of(run: RunSummary) -> RunLines:
    return RunLines(
        step=read_metrics(run.folder, "step"),
        validation=read_metrics(run.folder, "validation"),
        keep="best" if run.config is None else run.config.keep_epoch,
        resources=read_metrics(run.folder, EVENT),
    )


def at_work(run: RunSummary, members: Sequence[RunSummary] = ()) -> RunSummary:
    """The member that is training, otherwise the last that was; the run itself without members."""
    living = [member for member in members if member.is_alive]
    return max(living or members or [run], key=lambda member: member.changed)


def progress_of(
    run: RunSummary, state: str, members: Sequence[RunSummary] = ()
) -> RunProgress:  # fmt: skip
    """Progress of a run.

    Args:
        run: The run.
        state: Its state in words, used where nothing else is known.
        members: Folds of the run.
    """
    status, config = run.status, run.config
    if status is None or not status.total_steps:
        return RunProgress(0.0, (status.message if status else "") or state)
    if config is None or config.fold != "all":
        return _of_one(run, status)
    finished = sum(member.state == "finished" for member in members)
    folds = config.folds
    if run.state == "finished":
        return RunProgress(1.0, f"{folds} folds trained and pooled")
    if finished >= folds:
        return RunProgress(0.99, "predicting the held-out patients of each fold")
    current = at_work(run, members)
    if current is run or not current.is_alive:
        return RunProgress(finished / folds, f"{finished} of {folds} folds are trained")
    inner = progress_of(current, state)
    left = seconds_left(current, more_runs=folds - finished - 1)
    text = f"fold {finished + 1} of {folds}: {inner.text.partition(' · ')[0]}"
    return RunProgress((finished + inner.share) / folds, text + _left(left))


def _of_one(run: RunSummary, status: RunStatus) -> RunProgress:
    epochs = status.epoch + 1 if run.config is None else run.config.epochs
    # At the end of the last epoch, the number of finished epochs equals the total.
    epoch = min(status.epoch + 1, epochs)
    text = f"step {status.step:,} of {status.total_steps:,}, epoch {epoch} of {epochs}"
    left = seconds_left(run) if run.state == "running" else None
    return RunProgress(min(status.step / status.total_steps, 1.0), text + _left(left))


def seconds_left(run: RunSummary, *, more_runs: int = 0) -> float | None:
    """Seconds to the last step at the speed of the last lines; None before it is known.

    Lines from before the run was resumed do not count, because of the pause after them.

    Args:
        run: An active run.
        more_runs: Number of runs of the same length that follow.
    """
    if run.status is None:
        return None
    lines = last_metrics(RunFolder(run.folder).metrics_file, "step")
    recent = [
        (when, int(line["step"]))
        for line in islice(lines, RECENT_LINES)
        if (when := datetime.fromisoformat(line["time"]).timestamp()) >= run.status.began
    ]
    if not recent:
        return None
    (until, last), (since, first) = recent[0], recent[-1]
    made, seconds = last - first, until - since
    if made <= 0 or seconds <= 0:
        return None
    total = run.status.total_steps
    return seconds / made * (total - run.status.step + more_runs * total)


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f" · {time_left(seconds)}"


@dataclass(frozen=True, slots=True)
class HeldOutAuc:
    """Held-out AUC over a run.

    Attributes:
        last: After the last epoch that was measured; None where it is undefined.
        best: The highest; None where none is defined.
        best_epoch: Epoch of the highest.
        n: Held-out slices that it was measured on; None where that is not known.
    """

    last: float | None = None
    best: float | None = None
    best_epoch: int | None = None
    n: int | None = None

    @property
    def on(self) -> str:
        """The slices in words, to follow a label; "" where their number is not known."""
        return "" if self.n is None else f" (n = {self.n:,} slices)"


def held_out_auc(validation: pd.DataFrame) -> HeldOutAuc:
    """The last and the best AUC of a run.

    Args:
        validation: Its lines of "validation", in the order of steps.
    """
    rows = validation.reindex(columns=["auc", "epoch", "slices"]).astype(float)
    rows = rows.dropna(subset=["auc"]).to_dict("records")
    if not rows:
        return HeldOutAuc()
    best, last = max(rows, key=lambda row: row["auc"]), rows[-1]
    return HeldOutAuc(last["auc"], best["auc"], _whole(best["epoch"]), _whole(last["slices"]))


def _whole(value: float) -> int | None:
    return None if math.isnan(value) else int(value)


def standings(runs: Sequence[RunSummary]) -> pd.DataFrame:
    """Results of runs as text: one row per run.

    Args:
        runs: Runs in the order of the rows.
    """
    rows: list[dict[str, str]] = []
    labels = labels_of(runs)
    for run in runs:
        steps = read_metrics(run.folder, "step")
        auc = held_out_auc(read_metrics(run.folder, "validation"))
        last = {} if steps.empty else dict(steps.iloc[-1])
        rows.append(
            {
                "Run": labels[run.run_id],
                "Last held-out AUC": number(auc.last),
                "Best": number(auc.best),
                "Held-out slices": "–" if auc.n is None else f"{auc.n:,}",
                "Training loss": number(last.get("loss"), ".4f"),
                "Steps": "–" if not last else f"{int(last['step']):,}",
                "Images per second": number(last.get("images_per_second"), ".1f"),
            }
        )
    return pd.DataFrame(rows)
