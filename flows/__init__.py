"""Prefect's flows over the graph of dvc.yaml; of fcn/ they import the configuration alone."""
