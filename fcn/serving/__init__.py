"""What MLflow loads as a model, outside of this project's command line."""
