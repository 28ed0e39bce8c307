"""The batched L-BFGS against SciPy's, and that the problems of a batch are independent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, rosen, rosen_der
from torch import Tensor

from audiate.errors import InputError
from audiate.inversion.lbfgs import Box, Minimum, minimise


def rosenbrock(x: Tensor, _: Tensor) -> Tensor:
    return (100 * (x[:, 1:] - x[:, :-1] ** 2) ** 2 + (1 - x[:, :-1]) ** 2).sum(1)


def starts(count: int, dim: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=generator, dtype=torch.double)


def equal(one: Minimum, other: Minimum, row: int) -> None:
    assert torch.equal(one.point[0], other.point[row])
    assert torch.equal(one.loss[0], other.loss[row])
    assert torch.equal(one.num_evals[0], other.num_evals[row])
    assert torch.equal(one.converged[0], other.converged[row])


class TestAgainstSciPy:
    def test_rosenbrocks_valley(self) -> None:
        begin = starts(20, 10)
        ours = minimise(rosenbrock, begin, max_iterations=500, tolerance=1e-12)
        theirs = [
            minimize(
                rosen, x, jac=rosen_der, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-14}
            )
            for x in begin.numpy()
        ]
        assert ours.converged.all()
        # Some starts lead to the local minimum of 3.99, in both.
        assert (ours.loss < 1e-9).sum() >= sum(t.fun < 1e-9 for t in theirs) - 2
        assert ours.num_evals.double().mean() < 1.5 * np.mean([t.nfev for t in theirs])

    def test_a_quadratic_within_a_box(self) -> None:
        scales = torch.tensor([1.0, 10, 3, 100, 0.1], dtype=torch.double)
        target = torch.tensor([2.0, 0.5, -3, 0.1, -0.4], dtype=torch.double)
        mixing = torch.linalg.qr(starts(5, 5)).Q

        def loss(x: Tensor, _: Tensor) -> Tensor:
            weighted: Tensor = ((x - target) @ mixing).square() * scales
            return weighted.sum(1)

        def one(x: np.ndarray) -> tuple[float, np.ndarray]:
            point = torch.from_numpy(x)[None].requires_grad_(True)
            value = loss(point, torch.zeros(1)).sum()
            (slope,) = torch.autograd.grad(value, point)
            return value.item(), slope[0].numpy()

        found = minimise(
            loss, starts(6, 5), max_iterations=500, tolerance=1e-14, box="projected", limit=1.0
        )
        exact = minimize(one, np.zeros(5), jac=True, method="L-BFGS-B", bounds=[(-1, 1)] * 5)
        np.testing.assert_allclose(found.loss, exact.fun, rtol=1e-6)
        np.testing.assert_allclose(found.point, np.tile(exact.x, (6, 1)), atol=1e-3)


class TestIndependence:
    @pytest.mark.parametrize("box", ["none", "projected", "clipped"])
    def test_neighbours_do_not_matter(self, box: Box) -> None:
        begin = starts(9, 4)
        together = minimise(rosenbrock, begin, max_iterations=60, box=box)
        for row in range(9):
            alone = minimise(
                lambda x, _: rosenbrock(x, _), begin[row : row + 1], max_iterations=60, box=box
            )
            equal(alone, together, row)

    def test_each_has_its_own_objective(self) -> None:
        targets = starts(5, 3)

        def loss(x: Tensor, number: Tensor) -> Tensor:
            return (x - targets[number]).square().sum(1)

        found = minimise(loss, torch.zeros(5, 3, dtype=torch.double), max_iterations=50)
        torch.testing.assert_close(found.point, targets, atol=1e-6, rtol=0)

    def test_what_has_ended_is_not_evaluated_again(self) -> None:
        sizes: list[int] = []

        def loss(x: Tensor, number: Tensor) -> Tensor:
            sizes.append(len(x))
            return torch.where(number == 0, x.square().sum(1), rosenbrock(x, number))

        found = minimise(loss, starts(4, 6), max_iterations=40)
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[-1] < 4
        assert found.num_evals.sum() == sum(sizes)


class TestPromises:
    @given(seed=st.integers(0, 200), kinks=st.booleans())
    @settings(max_examples=25, deadline=None)
    def test_it_never_ends_above_the_start(self, seed: int, kinks: bool) -> None:
        slopes = starts(3, 6, seed)

        def loss(x: Tensor, number: Tensor) -> Tensor:
            distance = (x - slopes[number]).abs() if kinks else (x - slopes[number]).square()
            return (distance * (1 + slopes[number].square())).sum(1) + x.cos().sum(1)

        begin = starts(3, 6, seed + 1)
        found = minimise(loss, begin, max_iterations=30)
        assert (found.loss <= loss(begin, torch.arange(3))).all()
        torch.testing.assert_close(loss(found.point, torch.arange(3)), found.loss)

    @pytest.mark.parametrize("box", ["projected", "clipped"])
    def test_the_box_is_kept(self, box: Box) -> None:
        visited: list[float] = []

        def loss(x: Tensor, _: Tensor) -> Tensor:
            visited.append(x.abs().max().item())
            return (x - 3).square().sum(1)

        found = minimise(loss, starts(4, 5), max_iterations=20, box=box, limit=0.5)
        if box == "projected":
            assert max(visited) <= 0.5
            assert (found.point == 0.5).all()
        assert visited[0] <= 0.5

    def test_limits(self) -> None:
        begin = starts(2, 4)
        none = minimise(rosenbrock, begin, max_iterations=0)
        assert torch.equal(none.point, begin)
        assert none.num_evals.tolist() == [1, 1]
        some = minimise(rosenbrock, begin, max_iterations=3)
        assert not some.converged.any()
        there = minimise(rosenbrock, torch.ones(1, 4), max_iterations=3)
        assert there.converged.all()

    def test_refused(self) -> None:
        with pytest.raises(InputError, match="loss at the start is not finite"):
            minimise(lambda x, _: x.sum(1) * torch.nan, torch.zeros(1, 2), max_iterations=3)
        with pytest.raises(InputError, match="max_iterations -1"):
            minimise(rosenbrock, torch.zeros(1, 2), max_iterations=-1)
