"""DICOMweb servers: search for studies, fetch a series, send objects."""
