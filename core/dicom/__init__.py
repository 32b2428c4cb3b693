"""A DICOM file or series becomes HU voxels with a geometry; nothing of RSNA or of networks."""
