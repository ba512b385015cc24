"""Seeds of the random draws that torch makes in a training."""

import hashlib


def iteration_seed(seed: int, iteration: int, *, rank: int = 0) -> int:
    """A 63-bit seed for the draws of one iteration (dropout), in each of several processes another."""
    words = f"{seed} {iteration} {rank}" if rank else f"{seed} {iteration}"
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big") >> 1
