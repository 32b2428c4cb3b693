"""Roles: viewers look at studies and upload their own; operators may also change things."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from core.config import Settings
from core.errors import ConfigError

Role = Literal["viewer", "operator"]
Identity = Mapping[str, object]
"""Claims of an identity provider: email, email_verified, groups and the like."""

_ANYBODY = "*"


@dataclass(frozen=True, slots=True)
class RoleRules:
    """Which identities have which role.

    A rule is `name@host`, `@host` (every address there), `claim=value` (a claim that is the value
    or a list that holds it) or `*` (everybody who can log in).

    Attributes:
        operators: Rules; whoever matches one is an operator.
        viewers: Rules; whoever matches one and is not an operator is a viewer.
    """

    operators: tuple[str, ...]
    viewers: tuple[str, ...]

    def role_of(self, identity: Identity) -> Role | None:
        """Role of an identity; None if it has no access."""
        if any(_fits(rule, identity) for rule in self.operators):
            return "operator"
        if any(_fits(rule, identity) for rule in self.viewers):
            return "viewer"
        return None


def role_rules(settings: Settings) -> RoleRules:
    """The rules in DASHBOARD_OPERATORS and DASHBOARD_VIEWERS, separated by commas.

    Raises:
        ConfigError: A rule has none of the four forms.
    """
    return RoleRules(
        operators=_parse("DASHBOARD_OPERATORS", settings.dashboard_operators),
        viewers=_parse("DASHBOARD_VIEWERS", settings.dashboard_viewers),
    )


def _parse(name: str, text: str) -> tuple[str, ...]:
    rules = tuple(rule.strip() for rule in text.split(",") if rule.strip())
    for rule in rules:
        if rule != _ANYBODY and not re.fullmatch(r"[^\s@=]*@[^\s@=]+|[^\s=]+=.+", rule):
            raise ConfigError(
                f"{name} holds {rule!r}, which is not a rule; write name@host, @host, claim=value "
                "or *."
            )
    return rules


def _fits(rule: str, identity: Identity) -> bool:
    if rule == _ANYBODY:
        return True
    claim, equals, wanted = rule.partition("=")
    if equals:
        return wanted in _values(identity.get(claim))
    # An unverified address may belong to anybody.
    if identity.get("email_verified") in (False, "false"):
        return False
    address = str(identity.get("email") or "").casefold()
    if rule.startswith("@"):
        name, at, host = address.rpartition("@")
        return bool(name) and at + host == rule.casefold()
    return address == rule.casefold()


def _values(claim: object) -> Sequence[str]:
    if isinstance(claim, Sequence) and not isinstance(claim, str):
        return [str(value) for value in claim]
    return [] if claim is None else [str(claim)]
