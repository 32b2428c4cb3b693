"""From a DICOM file or series to HU voxels with a geometry; nothing about RSNA or networks."""
