"""Batches, loss, optimizer, checkpoints and the training loop."""
