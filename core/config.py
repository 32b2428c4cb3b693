"""Settings from the environment, and the typed config of a training run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from core.constants import (
    NETWORK_WINDOWS,
    TASK_FACTS,
    ChannelMode,
    FractureTarget,
    HeadName,
    NetworkName,
    TaskFacts,
    TaskName,
)
from core.errors import ConfigError, first_fault
from core.types import HuWindow, NoiseMethod, NoiseReduction, Store

PROJECT_ROOT = Path(__file__).resolve().parent.parent
_GIB = 1 << 30
_PREPARATION: Final = "preparation"


class Settings(BaseSettings):
    """Paths and limits, each set by an environment variable of the same name in capitals.

    Attributes:
        rsna_root: Data set in RSNA's layout; None means the embedded synthetic cohort.
        rsna_cache: Folder for everything derived; never inside the data set.
        cspine_var: Folder for generated data (the demo cohort, uploads).
        checkpoints: Folder of bundles.
        max_upload_mib: Largest archive the dashboard accepts.
        upload_memory_mib: Memory limit for reading one series, mask or table that a user names.
        upload_seconds: Time limit for the same.
        upload_lanes: Number of processes that read uploads; folders of the server have as many.
        upload_quota_gib: Total size limit for the uploads of all sessions.
        min_free_gib: Disk space that caches and uploads leave free.
        max_predictions: Number of studies predicted at the same time.
        max_waiting: Maximum number of queued predictions; more are refused.
        max_tasks, max_tasks_per_user: Tasks on data sets at once, of all server processes.
        max_imports, imports_quota_gib: Number and size of imported models.
        max_sessions, max_sessions_per_address: Number of open pages of one server process.
        max_requests, max_requests_per_address: HTTP requests that one process answers at once.
        pixel_rate: Requests per second for pixels and scenes from one address, on average.
        cache_limit_gib: Size of the slice store above which the least recently used entries go.
        dashboard_readonly: Whether the dashboard hides every action that changes something.
        dashboard_login: "required" refuses to start without a login.
        dashboard_open: Whether visitors without a login may view, on any address.
        dashboard_issuer: Issuer (`iss`) of the identities that rules without one are about.
        dashboard_operators: Rules for who may change things; forms: `dashboard.session.roles`.
        dashboard_viewers: Rules for who may view, in the same form; nobody unless set.
        browse_roots: Folders that a visitor may name, with everything below them, separated as in
            PATH; "" for the data root and `cspine_var`.
        dicomweb_servers, dicomweb_secrets, dicomweb_ca: DICOMweb servers, file of their logins,
            PEM certificates for them; `core.dicomweb.servers` has the rules.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    rsna_root: Path | None = None
    rsna_cache: Path = PROJECT_ROOT / "var" / "cache"
    cspine_var: Path = PROJECT_ROOT / "var"
    checkpoints: Path = PROJECT_ROOT / "checkpoints"
    max_upload_mib: int = Field(default=1024, ge=1)
    upload_memory_mib: int = Field(default=4096, ge=256)
    upload_seconds: float = Field(default=300.0, gt=0)
    upload_lanes: int = Field(default=2, ge=1, le=64)
    upload_quota_gib: float = Field(default=20.0, gt=0)
    min_free_gib: float = Field(default=1.0, ge=0)
    max_predictions: int = Field(default=1, ge=1, le=64)
    max_waiting: int = Field(default=64, ge=1)
    max_tasks: int = Field(default=4, ge=1)
    max_tasks_per_user: int = Field(default=2, ge=1)
    max_imports: int = Field(default=200, ge=1)
    imports_quota_gib: float = Field(default=2.0, gt=0)
    max_sessions: int = Field(default=256, ge=1)
    max_sessions_per_address: int = Field(default=128, ge=1)
    max_requests: int = Field(default=512, ge=1)
    max_requests_per_address: int = Field(default=128, ge=1)
    pixel_rate: float = Field(default=500.0, gt=0)
    cache_limit_gib: float = Field(default=200.0, gt=0)
    dashboard_readonly: bool = False
    dashboard_login: Literal["auto", "required"] = "auto"
    dashboard_open: bool = False
    dashboard_issuer: str = ""
    dashboard_operators: str = ""
    dashboard_viewers: str = ""
    browse_roots: str = ""
    dicomweb_servers: str = ""
    dicomweb_secrets: Path = PROJECT_ROOT / ".streamlit" / "secrets.toml"
    dicomweb_ca: Path | None = None

    @property
    def store(self) -> Store:
        """The store under `rsna_cache` with its limits."""
        return Store(
            self.rsna_cache.absolute(), int(self.cache_limit_gib * _GIB), self.keep_free_bytes
        )

    @property
    def keep_free_bytes(self) -> int:
        """`min_free_gib` in bytes."""
        return int(self.min_free_gib * _GIB)

    @property
    def demo_root(self) -> Path:
        """The embedded synthetic cohort, in RSNA's layout."""
        return self.cspine_var / "demo"

    @property
    def runs_root(self) -> Path:
        """The training runs started from the dashboard, one folder each."""
        return self.cspine_var / "runs"

    @property
    def data_root(self) -> Path:
        """The data set in use: `rsna_root` if set, else the embedded one."""
        return self.rsna_root or self.demo_root

    @property
    def browsable(self) -> tuple[Path, ...]:
        """The folders of `browse_roots`, absolute and without links."""
        named = [part.strip() for part in self.browse_roots.split(os.pathsep)]
        roots = [Path(name).expanduser() for name in named if name]
        return tuple(
            Path(os.path.realpath(root)) for root in roots or (self.data_root, self.cspine_var)
        )


class SlicePreparation(BaseModel):
    """Everything that determines how a slice is prepared for a network.

    `size` is the side of the prepared square in pixels. `crop` is the central fraction of the
    slice kept before resizing, in (0.1, 1]; `field_mm` replaces it by a square of that side in mm
    that follows the spine. `window_center` and `window_width` are HU, mapped to 0..255; `channels`
    is the content of the three input channels, and `noise_*` are the fields of
    `core.types.NoiseReduction`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: int = Field(default=512, ge=32, le=1024)
    crop: float = Field(default=1.0, gt=0.1, le=1.0)
    field_mm: float | None = Field(default=None, ge=20, le=400)
    window_center: float = 400.0
    window_width: float = Field(default=1800.0, gt=0)
    channels: ChannelMode = "grey"
    noise_reduction: NoiseMethod = "none"
    noise_threshold: int = Field(default=30, ge=1, le=255)
    noise_clusters: int = Field(default=4, ge=2, le=8)

    @property
    def windows(self) -> tuple[HuWindow, ...]:
        """The HU window that is mapped to 0..255, or the three fixed ones of "windows"."""
        if self.channels == "windows":
            return tuple(HuWindow(*window) for window in NETWORK_WINDOWS.values())
        return (HuWindow(self.window_center, self.window_width),)

    @property
    def voxel_mm(self) -> float | None:
        """Width of a pixel in a field along the spine; None without a field."""
        return self.field_mm / self.size if self.field_mm else None

    @property
    def noise(self) -> NoiseReduction:
        """Noise reduction of the prepared slice."""
        return NoiseReduction(self.noise_reduction, self.noise_threshold, self.noise_clusters)


class PreparedConfig(BaseModel):
    """A config with a field `preparation` whose fields are top-level keys in a file.

    It reads and writes the flat form: `size` is a key of the file, `preparation` is not.
    """

    @classmethod
    def file_fields(cls) -> dict[str, FieldInfo]:
        """The fields by their key in a file."""
        fields: dict[str, FieldInfo] = {}
        for key, info in cls.model_fields.items():
            fields |= SlicePreparation.model_fields if key == _PREPARATION else {key: info}
        return fields

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, content: Any) -> Any:  # noqa: ANN401 - any input
        if not isinstance(content, dict) or _PREPARATION in content:
            return content
        of_slices = SlicePreparation.model_fields
        own = {key: value for key, value in content.items() if key in of_slices}
        others = {key: value for key, value in content.items() if key not in of_slices}
        return others | {_PREPARATION: own}

    @model_serializer(mode="wrap")
    def _spread(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for key, value in write(self).items():
            content |= value if key == _PREPARATION else {key: value}
        return content


class RunConfig(PreparedConfig):
    """Complete config of one training run: besides the data nothing else changes the result.

    `annotations` is a folder of annotations, which replace boxes and labels of their studies.
    `preparation` determines how slices are prepared. `fracture_target` defines when a slice of a
    fractured vertebra is positive: when the vertebra is in view, or when the slice has a box
    (studies with a fracture but no box are then left out). `init_from` is a bundle with initial
    weights for layers of equal name and shape. `head` is "dense" for fracture networks with a map
    of the line, which the boxes of the data supervise; `freeze_backbone` trains the head alone.
    `slices_per_study` limits the slices drawn from a study per epoch; 0 means all. `alpha` weights
    the fracture loss of Type 3 against its vertebra loss. `vertebra_bundle` predicts v_ij for
    studies without a mask. `fold` is held out; "all" trains each in turn, None trains on every
    study. `gradient_clip` limits the norm of the gradient; 0 means no limit. `checkpoint_every_s`
    is the longest training time that is lost when the process is killed. `loader_workers` and
    `precision` are chosen for the machine unless set. A batch passes through the network in
    `accumulate` parts. `backbone_lr_share` scales the backbone's learning rate, `ema_decay` is that
    of a moving average of the weights (0: none), and `keep_epoch` names the epoch whose weights the
    bundle holds. A localiser is trained on boxed slices with `negatives` slices without a fracture
    for each, and fits `anchors_per_level` anchors to its boxes. The `augment_*` limit how far a
    slice is changed if `augment` is set, as in
    `core.preprocessing.augmentation.AugmentationRanges`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: TaskName
    type: Literal[1, 2, 3] = 1
    backbone: NetworkName = "mobilenet_v3_large"
    head: HeadName = "pooled"
    freeze_backbone: bool = False
    pretrained: bool = False
    data_root: Path
    annotations: Path | None = None
    preparation: SlicePreparation = SlicePreparation()
    augment: bool = False
    augment_rotation_deg: float = Field(default=10.0, ge=0, le=180)
    augment_shift: float = Field(default=0.05, ge=0, le=0.5)
    augment_zoom: float = Field(default=0.1, ge=0, le=1)
    augment_flip: float = Field(default=0.5, ge=0, le=1)
    augment_brightness: float = Field(default=0.08, ge=0, le=0.5)
    augment_contrast: float = Field(default=0.15, ge=0, le=1.5)
    augment_saturation: float = Field(default=0.15, ge=0, le=1.5)
    augment_hue_deg: float = Field(default=10.0, ge=0, le=180)
    balanced: bool = False
    slices_per_study: int = Field(default=0, ge=0)
    epochs: int = Field(default=1, ge=1, le=1_000_000)
    batch_size: int = Field(default=32, ge=1, le=65_536)
    accumulate: int = Field(default=1, ge=1, le=65_536)
    optimizer: Literal["adam", "adamw"] = "adam"
    max_lr: float | None = Field(default=None, gt=0, le=1e3)
    backbone_lr_share: float = Field(default=1.0, gt=0, le=100)
    pct_start: float = Field(default=0.3, gt=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0, le=1e3)
    alpha: float = Field(default=2.0, gt=0, le=1e6)
    vertebra_bundle: Path | None = None
    fracture_target: FractureTarget = "vertebra"
    init_from: Path | None = None
    negatives: float = Field(default=1.0, ge=0, le=1e3)
    anchors_per_level: int = Field(default=3, ge=1, le=9)
    gradient_clip: float = Field(default=1.0, ge=0)
    deterministic: bool = True
    loader_workers: int | None = Field(default=None, ge=0, le=1024)
    augment_on: Literal["auto", "loader", "device"] = "auto"
    checkpoint_every_s: float = Field(default=60.0, ge=0)
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    keep_epoch: Literal["best", "last"] = "best"
    early_stopping: bool = False
    early_stopping_loss: Literal["training", "validation"] = "training"
    early_stopping_delta: float = Field(default=0.01, ge=0)
    early_stopping_patience: int = Field(default=5, ge=1)
    early_stopping_every: int = Field(default=500, ge=1)
    folds: int = Field(default=5, ge=2)
    fold: Annotated[int, Field(ge=0)] | Literal["all"] | None = 0
    sync_batch_norm: bool = True
    compile_network: bool = False
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    seed: int = Field(default=0, ge=0, lt=1 << 32)

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_task(cls, content: Any) -> Any:  # noqa: ANN401 - any input
        if not isinstance(content, dict) or _PREPARATION in content:
            return content
        facts = TASK_FACTS.get(cast(TaskName, str(content.get("task"))))
        return content if facts is None else {**facts.defaults, **content}

    @model_validator(mode="after")
    def _fits_together(self) -> RunConfig:
        facts, dense = self.facts, self.head == "dense"
        backbones = TASK_FACTS["localization"].backbones if dense else facts.backbones
        for key, value, choices in (
            ("type", self.type, facts.types), ("head", self.head, facts.heads),
            ("backbone", self.backbone, backbones),
            ("channels", self.preparation.channels, facts.channels),
        ):  # fmt: skip
            if value not in choices:
                named = " or ".join(str(choice) for choice in choices)
                raise ValueError(f"the {key} of {facts.title} is {named}; set {key} to that")
        if dense and self.preparation.field_mm is None:
            raise ValueError("a dense head takes a square that follows the spine; set field_mm")
        voxel_mm = self.preparation.voxel_mm
        if facts.gives == "labels" and not (voxel_mm and 1.0 <= voxel_mm <= 4.0):
            raise ValueError("a segmenter's voxel is 1 to 4 mm wide; set field_mm to 1 to 4 × size")
        if isinstance(self.fold, int) and self.fold >= self.folds:
            raise ValueError(
                f"fold must be below folds ({self.folds}); set it to 0..{self.folds - 1}"
            )
        if self.accumulate > self.batch_size:
            raise ValueError(
                f"accumulate splits a batch into parts of one slice or more; set it to "
                f"{self.batch_size} (batch_size) or less"
            )
        watches_fold = self.early_stopping and self.early_stopping_loss == "validation"
        if watches_fold and self.fold is None:
            raise ValueError(
                "early_stopping_loss: validation needs a held-out fold; set fold, or "
                "early_stopping_loss: training"
            )
        return self

    @property
    def facts(self) -> TaskFacts:
        """Facts of the task."""
        return TASK_FACTS[self.task]

    @property
    def learning_rate(self) -> float:
        """Peak of the one-cycle schedule: 1e-3 for vertebra, 1e-4 for fracture unless set."""
        return self.max_lr or self.facts.max_lr


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of `key: value` lines; nothing in it can run code.

    Raises:
        ConfigError: The file is missing, is not YAML, or its keys are not text.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist; give the path of a config.") from error
    # ValueError: an invalid date or an overlong number; RecursionError: deep nesting.
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as YAML; check its syntax.") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{path} holds no keys; write one `key: value` per line.")
    return content


def load_run_config(path: Path, **overrides: Any) -> RunConfig:  # noqa: ANN401 - any field value
    """Read a YAML run config; `overrides` that are not None replace its values.

    Raises:
        ConfigError: The file is missing, is not YAML, or holds an unknown key or a bad value.
    """
    content = read_yaml(path)
    content |= {key: value for key, value in overrides.items() if value is not None}
    try:
        return RunConfig(**content)
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_fault(error)}; correct that value.") from error
