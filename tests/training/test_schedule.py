from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from edge_sdk.converters.models import yolo_nas
from edge_sdk.training.ema import Ema, set_batch_norm_memory
from edge_sdk.training.optimization import learning_rate, optimizer_of


def test_learning_rate_rises_then_falls_as_a_cosine() -> None:
    rates = [learning_rate(step, 1000, 100, 1e-3) for step in range(1000)]
    assert rates[0] == pytest.approx(1e-5)
    assert max(rates) == pytest.approx(1e-3)
    assert rates.index(max(rates)) in (99, 100)
    assert rates[-1] == pytest.approx(2e-5)
    assert rates[550] == pytest.approx((1e-3 + 2e-5) / 2, rel=0.01)
    assert all(a >= b for a, b in pairwise(rates[100:]))


def test_a_training_of_one_step_has_a_rate() -> None:
    assert learning_rate(0, 1, 1, 1e-3) == pytest.approx(1e-3)


def test_only_kernels_decay(tiny: str) -> None:
    model = yolo_nas(tiny, 2)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    optimizer = optimizer_of(model, 1e-3, 1e-4)
    seen = 0
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            plain = name.endswith(".bias") or "bn." in name or "alpha" in name
            assert group["weight_decay"] == (0.0 if plain else 1e-4), name
            seen += 1
    assert seen == len(names)


def test_the_average_follows_and_has_all_of_the_state() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    ema = Ema(model, steps=1000)
    assert ema.decay == pytest.approx(0.99)
    before = model[0].weight.item()
    with torch.no_grad():
        model[0].weight += 1
        model[1].running_mean += 2
        model[1].num_batches_tracked += 5
    ema.update(model, step=10_000)
    assert ema.model[0].weight.item() == pytest.approx(before + 0.01)
    assert ema.model[1].running_mean.item() == pytest.approx(0.02)
    assert ema.model[1].num_batches_tracked.item() == 5
    assert not ema.model.training


def test_the_average_is_short_at_first_and_never_longer_than_a_thousand_steps() -> None:
    model = nn.Linear(1, 1)
    ema = Ema(model, steps=10**6)
    assert ema.decay == pytest.approx(0.999)
    before = model.weight.item()
    with torch.no_grad():
        model.weight += 1
    ema.update(model, step=0)
    assert ema.model.weight.item() == pytest.approx(before + 0.9)


def test_short_trainings_have_short_running_statistics() -> None:
    model = nn.Sequential(nn.BatchNorm2d(1))
    set_batch_norm_memory(model, 100)
    assert model[0].momentum == pytest.approx(0.1)
    set_batch_norm_memory(model, 100_000)
    assert model[0].momentum == pytest.approx(0.03)
