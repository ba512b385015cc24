"""From result files to what MLflow shall hold, as data; nothing here knows MLflow."""
