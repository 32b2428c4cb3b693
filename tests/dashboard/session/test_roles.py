from __future__ import annotations

import pytest

from core.config import Settings
from core.errors import ConfigError
from dashboard.session.roles import RoleRules, role_rules

ISSUER, OTHER = "https://id.b.c/realms/lab", "https://login.elsewhere.example"


def rules(operators: str = "", viewers: str = "", issuer: str = ISSUER) -> RoleRules:
    return role_rules(
        Settings(dashboard_operators=operators, dashboard_viewers=viewers, dashboard_issuer=issuer)
    )


def known(**claims: object) -> dict[str, object]:
    return {"iss": ISSUER, "email_verified": True} | claims


@pytest.mark.parametrize(
    ("rule", "identity", "fits"),
    [
        ("a@b.c", known(email="A@B.C"), True),
        ("A@b.C", known(email="a@B.c"), True),
        ("a@b.c", known(email="aa@b.c"), False),
        ("a@b.c", known(email=["a@b.c"]), False),
        ("@b.c", known(email="x@b.c"), True),
        ("@b.c", known(email="x@sub.b.c"), False),
        ("@b.c", known(email="@b.c"), False),
        ("@b.c", known(email="x@evil@b.c"), False),
        ("@b.c", known(), False),
        ("groups=one", known(groups=["two", "one"]), True),
        ("groups=one", known(groups="one"), True),
        ("groups=one", known(groups="one two"), False),
        ("groups=one", known(groups=None), False),
        ("groups=CT readers", known(groups=["CT readers"]), True),
        ("sub=0=1", {"iss": ISSUER, "sub": "0=1"}, True),
        ("oid=7", {"iss": ISSUER, "oid": "7", "email_verified": False}, True),
        ("*", {"iss": ISSUER}, True),
    ],
)
def test_a_rule_fits_or_does_not(rule, identity, fits):
    assert (rules(viewers=rule).role_of(identity) == "viewer") is fits
    assert (rules(operators=rule).role_of(identity) == "operator") is fits


@pytest.mark.parametrize("said", [False, "false", "true", "True", 1, None, [True]])
@pytest.mark.parametrize("rule", ["a@b.c", "@b.c"])
def test_an_address_counts_only_where_the_provider_vouches_for_it(rule, said):
    assert rules(viewers=rule).role_of(known(email="a@b.c")) == "viewer"
    assert rules(viewers=rule).role_of(known(email="a@b.c", email_verified=said)) is None
    without = {"iss": ISSUER, "email": "a@b.c"}
    assert rules(viewers=rule).role_of(without) is None


@pytest.mark.parametrize("rule", ["a@b.c", "@b.c", "sub=7", "groups=one", "*"])
def test_the_same_claims_of_another_issuer_are_another_account(rule):
    claims = known(email="a@b.c", sub="7", groups=["one"])
    for issuer in (OTHER, f"{ISSUER}/", ISSUER.upper(), None, [ISSUER]):
        assert rules(operators=rule).role_of(claims | {"iss": issuer}) is None
    del claims["iss"]
    assert rules(operators=rule).role_of(claims) is None


def test_a_rule_may_name_its_own_issuer():
    both = rules(f"{OTHER} groups=CT readers", "@b.c")
    assert both.role_of({"iss": OTHER, "groups": ["CT readers"]}) == "operator"
    assert both.role_of(known(groups=["CT readers"])) is None
    assert both.role_of(known(email="x@b.c")) == "viewer"


def test_the_higher_role_wins_and_no_rule_lets_nobody_in():
    both = rules("chief@b.c", "*")
    assert both.role_of(known(email="chief@b.c")) == "operator"
    assert both.role_of(known(email="other@b.c")) == "viewer"
    assert rules().role_of(known(email="chief@b.c")) is None


@pytest.mark.parametrize("text", ["chief", "a b@c", "=x", "a@b, nonsense", OTHER, f"{OTHER} x"])
def test_a_rule_without_shape_is_named(text):
    with pytest.raises(ConfigError, match="DASHBOARD_OPERATORS holds"):
        rules(operators=text)


def test_a_rule_without_an_issuer_is_named():
    with pytest.raises(ConfigError, match="names no issuer; set DASHBOARD_ISSUER"):
        rules(viewers="@b.c", issuer=" ")
