"""The sample profile's data: generated scenes and crops, in the archives' own formats."""

from fcn.datasets.sample.archives import roster, write_sbd_archive, write_voc_archive
from fcn.datasets.sample.scenes import crops, scene

__all__ = ["crops", "roster", "scene", "write_sbd_archive", "write_voc_archive"]
