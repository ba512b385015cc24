"""The sample profile's data: generated scenes and crops, and the archives of them in the datasets' own formats."""
