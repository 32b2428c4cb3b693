"""Values of the training form in this session, and what is expected of a run with them."""

from __future__ import annotations

from typing import Any, Final

from core.config import RunConfig, SlicePreparation
from core.constants import TASK_FACTS
from core.training.paces import read_paces
from core.training.schedule import Estimate, estimate_run
from dashboard.session import state
from dashboard.session.settings import settings
from dashboard.training import run_processes
from dashboard.training.form_choices import data_size
from dashboard.training.form_fields import FIELDS, START_SIZE
from dashboard.training.form_layout import effective
from dashboard.training.run_form import config_from, form_values, known_paces

_OF_TASK: Final = (
    "type", "backbone", "head", "channels", "size", "field_mm", "window_center", "window_width",
    "max_lr", "batch_size",
)  # fmt: skip
"""Fields that another task begins with its own values of."""


def first_config(task: Any = "fracture") -> RunConfig:  # noqa: ANN401 - a widget's value
    """The method's settings for a task, on the data set in use."""
    own = TASK_FACTS[task].defaults
    size = int(own.get("size", START_SIZE))
    others = {key: own[key] for key in SlicePreparation.model_fields if key in own}
    preparation = SlicePreparation.model_validate(others | {"size": size})
    rest = {key: value for key, value in own.items() if key not in others}
    if task == "segmentation":
        rest["batch_size"] = 2  # It counts studies.
    root = settings().data_root
    return RunConfig(task=task, data_root=root, preparation=preparation, **rest)


def start_form() -> None:
    """Fill the form with the method's settings where it has none."""
    state.fill_form(form_values(first_config()))


def take_task() -> None:
    """Begin with the values of the task that was just chosen; for the callback."""
    values = form_values(first_config(state.form_value("task")))
    state.fill_form({key: values[key] for key in _OF_TASK}, overwrite=True)


def values_now() -> dict[str, Any]:
    """Values of the form by key."""
    return {field.key: state.form_value(field.key) for group in FIELDS.values() for field in group}


def asked_config() -> RunConfig:
    """The config that the form asks for; what has no effect has its default.

    Raises:
        ConfigError: Values are out of range or contradict each other.
        DataRootError: The user may not use a folder.
    """
    config = config_from(effective(values_now()))
    run_processes.check_folders(config)
    return config


def expected(config: RunConfig) -> Estimate:
    """Steps and time of a run, from its data and from earlier runs.

    Raises:
        DataRootError: The data root is not in RSNA's layout.
    """
    size = data_size(config.data_root)
    paces = known_paces(run_processes.all_runs(), read_paces(settings().cspine_var))
    return estimate_run(config, size.slices, size.studies, paces)
