"""Roles: viewers look at studies and upload their own; operators may also change things."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from core.config import Settings
from core.errors import ConfigError

Role = Literal["viewer", "operator"]
Identity = Mapping[str, object]
"""Claims of an identity provider: iss, sub, email, email_verified, groups and the like."""

_ANYBODY: Final = "*"
_FORMS: Final = re.compile(r"[^\s@=]*@[^\s@=]+|[^\s=]+=.+")


@dataclass(frozen=True, slots=True)
class RoleRule:
    """A rule that identities of one issuer match or not.

    Attributes:
        issuer: Value of the claim `iss`. Accounts of two issuers can have the same claims.
        wanted: `name@host`, `@host` (every address there), `claim=value` (a claim that is the
            value or a list that contains it) or `*` (everybody whom the issuer logs in).
    """

    issuer: str
    wanted: str

    def fits(self, identity: Identity) -> bool:
        """Whether an identity matches."""
        if identity.get("iss") != self.issuer:
            return False
        if self.wanted == _ANYBODY:
            return True
        claim, equals, value = self.wanted.partition("=")
        if equals:
            return value in _values(identity.get(claim))
        return _address_fits(self.wanted.casefold(), identity)


@dataclass(frozen=True, slots=True)
class RoleRules:
    """Which identities have which role.

    Attributes:
        operators: Whoever matches one is an operator.
        viewers: Whoever matches one and is not an operator is a viewer.
    """

    operators: tuple[RoleRule, ...] = ()
    viewers: tuple[RoleRule, ...] = ()

    def role_of(self, identity: Identity) -> Role | None:
        """Role of an identity; None if it has no access."""
        if any(rule.fits(identity) for rule in self.operators):
            return "operator"
        if any(rule.fits(identity) for rule in self.viewers):
            return "viewer"
        return None


def role_rules(settings: Settings) -> RoleRules:
    """The rules in DASHBOARD_OPERATORS and DASHBOARD_VIEWERS, separated by commas.

    A rule is `ISSUER WANTED`; rules without an issuer are about DASHBOARD_ISSUER.

    Raises:
        ConfigError: A rule has none of the four forms or no issuer.
    """
    issuer = settings.dashboard_issuer.strip()
    return RoleRules(
        operators=_parse("DASHBOARD_OPERATORS", settings.dashboard_operators, issuer),
        viewers=_parse("DASHBOARD_VIEWERS", settings.dashboard_viewers, issuer),
    )


def _parse(name: str, text: str, issuer: str) -> tuple[RoleRule, ...]:
    return tuple(_rule(name, part.strip(), issuer) for part in text.split(",") if part.strip())


def _rule(name: str, text: str, issuer: str) -> RoleRule:
    wanted = text
    if text.startswith(("https://", "http://")):
        issuer, _, wanted = text.partition(" ")
        wanted = wanted.strip()
    if wanted != _ANYBODY and not _FORMS.fullmatch(wanted):
        raise ConfigError(
            f"{name} holds {text!r}, which is not a rule; write name@host, @host, claim=value or *."
        )
    if not issuer:
        raise ConfigError(
            f"{name} holds {text!r}, which names no issuer; set DASHBOARD_ISSUER to the `iss` of "
            "your identity provider, or write https://issuer before the rule."
        )
    return RoleRule(issuer, wanted)


def _address_fits(wanted: str, identity: Identity) -> bool:
    # Only a provider that vouches for an address may lend it: others let users type any.
    if identity.get("email_verified") is not True:
        return False
    address = identity.get("email")
    if not isinstance(address, str) or address.count("@") != 1:
        return False
    name, _, host = address.casefold().partition("@")
    return bool(name) and wanted in (f"@{host}", f"{name}@{host}")


def _values(claim: object) -> Sequence[str]:
    if isinstance(claim, Sequence) and not isinstance(claim, str):
        return [str(value) for value in claim]
    return [] if claim is None else [str(claim)]
