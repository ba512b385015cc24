"""One module per dataset: from its own files to arrays."""
