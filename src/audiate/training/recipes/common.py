"""What several recipes share."""

from __future__ import annotations

from typing import Literal, get_args

from audiate.errors import check_range

Speaker = Literal["jackson", "nicolas", "theo", "yweweler"]
SPEAKERS: tuple[Speaker, ...] = get_args(Speaker)

ENDLESS = float("inf")


def check_common(batch_size: int, learning_rate: float, seed: int) -> None:
    """Make sure that what all recipes have is in range.

    Raises:
        InputError: It is not.

    """
    check_range("--batch-size", batch_size, 1, 60_000)
    check_range("--learning-rate", learning_rate, 0, 1)
    check_range("--seed", seed, 0, 2**63 - 1)
