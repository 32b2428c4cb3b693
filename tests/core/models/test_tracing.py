"""A network that one thread runs is not disturbed by another thread that traces one."""

from __future__ import annotations

from threading import Event, Thread

import torch
from torch import nn
from torch.fx import symbolic_trace

from core.models.tracing import TURNS, Turns


def test_tracing_waits_for_running_networks_and_they_for_tracing():
    turns, order = Turns(), []
    runs, end, traces, stop = Event(), Event(), Event(), Event()

    def run():
        with turns.running(), turns.running():
            runs.set()
            end.wait(10)
            order.append("ran")

    def trace():
        with turns.tracing():
            traces.set()
            order.append("traced")
            stop.wait(10)

    def later():
        with turns.running():
            order.append("ran later")

    first, second, third = Thread(target=run), Thread(target=trace), Thread(target=later)
    first.start()
    assert runs.wait(10)
    second.start()
    assert not traces.wait(0.05)
    end.set()
    assert traces.wait(10)
    third.start()
    third.join(0.05)
    assert order == ["ran", "traced"]
    stop.set()
    for thread in (first, second, third):
        thread.join(10)
    assert order == ["ran", "traced", "ran later"]


class _Slow(nn.Module):
    """Is in the middle of being traced until it is let go."""

    def __init__(self, inside, go):
        super().__init__()
        self.layer, self.inside, self.go = nn.Linear(2, 2), inside, go

    def forward(self, x):
        self.inside.set()
        self.go.wait(10)
        return self.layer(x)


def test_a_network_runs_while_another_thread_traces_one():
    inside, go, failed = Event(), Event(), []

    def trace():
        with TURNS.tracing():
            symbolic_trace(_Slow(inside, go))

    def run():
        try:
            with TURNS.running():
                nn.Sequential(nn.Linear(2, 2), nn.ReLU())(torch.zeros(1, 2))
        except NameError as error:
            failed.append(error)

    tracer, runner = Thread(target=trace), Thread(target=run)
    tracer.start()
    assert inside.wait(10)
    runner.start()
    runner.join(0.1)
    go.set()
    runner.join(10)
    tracer.join(10)
    assert not runner.is_alive()
    assert failed == []
