import math

from core.training.early_stopping import EarlyStopping


def _stops_at(losses, **options):
    stopping = EarlyStopping(**({"delta": 0.01, "patience": 2, "every": 1} | options))
    for number, loss in enumerate(losses, start=1):
        if stopping.should_stop(loss):
            return number
    return None


def test_goes_on_while_the_loss_falls_enough():
    assert _stops_at([1.0, 0.98, 0.96, 0.94, 0.92]) is None


def test_stops_after_patience_windows_without_a_sufficient_fall():
    assert _stops_at([1.0, 0.995, 0.991, 0.5]) == 3


def test_a_fall_of_exactly_delta_does_not_count():
    assert _stops_at([1.0, 0.75, 0.75], delta=0.25) == 3


def test_a_sufficient_fall_starts_the_count_again():
    assert _stops_at([1.0, 1.0, 0.5, 0.5, 0.4, 0.4, 0.4]) == 7


def test_slow_falls_add_up_against_the_best():
    assert _stops_at([1.0, 0.994, 0.988, 0.982, 0.976]) is None


def test_only_whole_windows_count_and_by_their_mean():
    assert _stops_at([1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.5], every=2) == 6


def test_a_loss_that_is_not_a_number_is_no_improvement():
    assert _stops_at([math.nan, math.nan]) == 2


def test_restored_state_goes_on_where_it_was():
    first = EarlyStopping(delta=0.01, patience=2, every=2)
    for loss in (1.0, 1.0, 1.0, 1.0, 1.0):
        first.should_stop(loss)
    second = EarlyStopping(delta=0.01, patience=2, every=2)
    second.load_state_dict(first.state_dict())
    assert second == first
    assert second.should_stop(1.0)
