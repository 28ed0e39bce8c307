"""RMSprop as TensorFlow has it, which differs from PyTorch's."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import Optimizer


class RMSprop(Optimizer):
    """Divides gradients g by the root of their mean squares m (Tieleman and Hinton 2012).

    m becomes decay · m + (1 - decay) · g², and the parameter falls by lr · g / √(m + epsilon).
    Unlike in PyTorch, m is 1 at first, and epsilon is added under the root.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        decay: float = 0.9,
        epsilon: float = 1e-10,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "decay": decay, "epsilon": epsilon})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["square"] = torch.ones_like(parameter)
                square = state["square"]
                square.mul_(group["decay"]).addcmul_(gradient, gradient, value=1 - group["decay"])
                root = (square + group["epsilon"]).sqrt()
                parameter.addcdiv_(gradient, root, value=-group["lr"])
