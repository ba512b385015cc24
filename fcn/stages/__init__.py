"""The hands: one module per DVC stage, which reads, calls the method and writes."""
