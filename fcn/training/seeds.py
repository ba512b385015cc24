"""Seeds of the random draws that torch makes in a training."""

import hashlib


def iteration_seed(seed: int, iteration: int) -> int:
    """A 63-bit seed for the draws of one iteration (dropout)."""
    return int.from_bytes(hashlib.sha256(f"{seed} {iteration}".encode()).digest()[:8], "big") >> 1
