"""What MLflow runs of this project, outside of its command line: a model, and the front page of `make ui`."""
