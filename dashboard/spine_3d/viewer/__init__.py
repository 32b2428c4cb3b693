"""The 3D scene in the page: `docs/pages/spine_3d.md` describes its parts."""
