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
from audiate.inversion.lbfgs_scipy import minimise_by_scipy


def box(dim: int, edge: float = 1.0) -> tuple[Tensor, Tensor]:
    high = torch.full((dim,), edge, dtype=torch.double)
    return -high, high


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
            loss, starts(6, 5), max_iterations=500, tolerance=1e-14, box="projected", bounds=box(5)
        )
        exact = minimize(one, np.zeros(5), jac=True, method="L-BFGS-B", bounds=[(-1, 1)] * 5)
        np.testing.assert_allclose(found.loss, exact.fun, rtol=1e-6)
        np.testing.assert_allclose(found.point, np.tile(exact.x, (6, 1)), atol=1e-3)


class TestSaddles:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_what_ends_at_a_saddle_has_not_converged(self, dtype: torch.dtype) -> None:
        begin = (2 * starts(400, 4, seed=4)).to(dtype)
        found = minimise(rosenbrock, begin, max_iterations=400)
        at_saddle = (found.loss - 3.7082).abs() < 1e-3  # the local minimum has 3.7015
        assert at_saddle.any()
        assert not found.converged[at_saddle].any()


class TestIndependence:
    @pytest.mark.parametrize("kind", ["none", "projected", "clipped"])
    def test_neighbours_do_not_matter(self, kind: Box) -> None:
        begin = starts(4, 4)
        together = minimise(rosenbrock, begin, max_iterations=40, box=kind, bounds=box(4))
        for row in range(4):
            alone = minimise(
                rosenbrock, begin[row : row + 1], max_iterations=40, box=kind, bounds=box(4)
            )
            equal(alone, together, row)

    def test_each_has_its_own_objective(self) -> None:
        targets = starts(5, 3)

        def loss(x: Tensor, number: Tensor) -> Tensor:
            return (x - targets[number]).square().sum(1)

        found = minimise(loss, torch.zeros(5, 3, dtype=torch.double), max_iterations=50)
        torch.testing.assert_close(found.point, targets, atol=1e-6, rtol=0)

    @pytest.mark.parametrize("kind", ["none", "projected", "clipped"])
    def test_all_evaluations_are_counted(self, kind: Box) -> None:
        sizes: list[int] = []

        def loss(x: Tensor, number: Tensor) -> Tensor:
            sizes.append(len(x))
            return rosenbrock(x, number)

        found = minimise(loss, starts(8, 4), max_iterations=40, box=kind, bounds=box(4, 0.7))
        # Of those that end with the box left behind, the last is counted where the best was met.
        assert found.num_evals.sum() == sum(sizes)

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
    @settings(max_examples=10, deadline=None)
    def test_it_never_ends_above_the_start(self, seed: int, kinks: bool) -> None:
        slopes = starts(3, 6, seed)

        def loss(x: Tensor, number: Tensor) -> Tensor:
            distance = (x - slopes[number]).abs() if kinks else (x - slopes[number]).square()
            return (distance * (1 + slopes[number].square())).sum(1) + x.cos().sum(1)

        begin = starts(3, 6, seed + 1)
        found = minimise(loss, begin, max_iterations=30)
        assert (found.loss <= loss(begin, torch.arange(3))).all()
        torch.testing.assert_close(loss(found.point, torch.arange(3)), found.loss)

    def test_the_box_is_kept_by_projection(self) -> None:
        visited: list[Tensor] = []

        def loss(x: Tensor, _: Tensor) -> Tensor:
            visited.append(x.detach())
            return (x - 3).square().sum(1)

        bounds = (torch.tensor([-0.5, 0, 0.1]).double(), torch.tensor([0.5, 1, 0.2]).double())
        found = minimise(loss, starts(4, 3), max_iterations=20, box="projected", bounds=bounds)
        for points in visited:
            assert ((points >= bounds[0]) & (points <= bounds[1])).all()
        torch.testing.assert_close(found.point, bounds[1].expand(4, 3))

    def test_stochastic_clipping_replaces_what_leaves_by_random_numbers_within(self) -> None:
        visited: list[Tensor] = []

        def loss(x: Tensor, _: Tensor) -> Tensor:
            visited.append(x.detach()[0])
            return 0.5 * (x - torch.tensor([1.5, 0.2]).double()).square().sum(1)

        start = torch.tensor([[0.9, 0.2]]).double()
        found = minimise(loss, start, max_iterations=6, box="clipped", bounds=box(2))
        outside = [i for i, point in enumerate(visited) if point[0] > 1]
        assert outside
        for i in outside[:-1]:
            # The next point is within, and only what had left was replaced.
            assert visited[i + 1].abs().max() <= 1
            assert visited[i + 1][1] == visited[i][1]
        assert len({visited[i + 1][0].item() for i in outside[:-1]}) == len(outside) - 1
        # A minimum outside is none: the search goes on, and keeps the best of what was within.
        assert not found.converged.any()
        assert found.point.abs().max() <= 1
        within = [0.5 * (p - torch.tensor([1.5, 0.2])).square().sum() for p in visited if p[0] <= 1]
        assert found.loss.item() == pytest.approx(float(min(within)))

    @pytest.mark.parametrize("kind", ["none", "clipped"])
    def test_no_trial_goes_far_beyond_the_box(self, kind: Box) -> None:
        farthest = 0.0

        def loss(x: Tensor, _: Tensor) -> Tensor:
            nonlocal farthest
            farthest = max(farthest, x.abs().max().item())
            return -x.sum(1)  # the farther, the better

        minimise(loss, torch.zeros(2, 3).double(), max_iterations=5, box=kind, bounds=box(3))
        assert 1 < farthest <= 3 + 1e-9

    def test_a_box_needs_bounds(self) -> None:
        with pytest.raises(InputError, match="box clipped: give its bounds"):
            minimise(rosenbrock, torch.zeros(1, 2), max_iterations=3, box="clipped")

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


class TestSciPysEngine:
    @pytest.mark.parametrize("kind", ["none", "projected", "clipped"])
    def test_a_limit_is_no_convergence(self, kind: Box) -> None:
        begin = 0.1 * starts(2, 4)
        settings = {"tolerance": 1e-9, "box": kind, "bounds": box(4, 2)}
        short = minimise_by_scipy(rosenbrock, begin, max_iterations=3, **settings)  # type: ignore[arg-type]
        assert not short.converged.any()
        whole = minimise_by_scipy(rosenbrock, begin, max_iterations=300, **settings)  # type: ignore[arg-type]
        assert whole.converged.all()
        torch.testing.assert_close(whole.point, torch.ones(2, 4).double(), atol=1e-3, rtol=0)
        assert (whole.loss < short.loss).all()

    def test_without_iterations_the_start_is_evaluated(self) -> None:
        begin = starts(2, 4)
        found = minimise_by_scipy(
            rosenbrock, begin, max_iterations=0, tolerance=0, box="none", bounds=box(4)
        )
        assert torch.equal(found.point, begin)
        assert found.num_evals.tolist() == [1, 1]
        assert not found.converged.any()
