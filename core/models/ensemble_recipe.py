"""How an ensemble combines the scores of its members, as stored in its bundle."""

from __future__ import annotations

from typing import Final, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

EnsembleMethod = Literal["log_odds", "rank", "stacking"]
METHODS: Final[tuple[EnsembleMethod, ...]] = get_args(EnsembleMethod)
METHOD_NAMES: Final[dict[EnsembleMethod, str]] = {
    "log_odds": "log-odds mean",
    "rank": "rank mean",
    "stacking": "logistic stacking",
}


class EnsembleMember(BaseModel):
    """One bundle of an ensemble.

    `folder` is relative to that of the ensemble. `config_sha256` is the digest of the member's
    `config.json`, which holds that of its weights. `quantiles` are those of its scores on the
    studies of the fit, for the rank mean. `gives_boxes` says whether it is a localiser.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    folder: str
    config_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    weight: float = Field(allow_inf_nan=False)
    gives_boxes: bool = False
    quantiles: tuple[float, ...] = ()


class EnsembleRecipe(BaseModel):
    """Members, method and weights: `core.inference.ensemble` has the formulas.

    `intercept` is added by the stacking. `weights_from` says where the weights are from, as a
    clause.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: EnsembleMethod
    members: tuple[EnsembleMember, ...] = Field(min_length=2)
    intercept: float = Field(default=0.0, allow_inf_nan=False)
    weights_from: str = ""

    @model_validator(mode="after")
    def _combines(self) -> Self:
        weights = [member.weight for member in self.members]
        if self.method != "stacking" and not (min(weights) >= 0 and sum(weights) > 0):
            raise ValueError("weights of a mean must be 0 or above, and one of them above 0")
        if self.method == "rank" and not all(member.quantiles for member in self.members):
            raise ValueError("a rank mean needs the quantiles of every member")
        return self

    @property
    def described(self) -> str:
        """Method and members with their weights, in words."""
        members = ", ".join(f"{member.name} ({member.weight:.2f})" for member in self.members)
        return f"{METHOD_NAMES[self.method]} of {members}"
