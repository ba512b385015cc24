"""Pictures of what the networks answer, and charts of their scores."""
