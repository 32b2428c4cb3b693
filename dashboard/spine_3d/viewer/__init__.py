"""The 3D scene in the page: `docs/pages/spine_3d.md` tells how it is put together."""

from dashboard.spine_3d.viewer.component import SceneEvents, scene_3d

__all__ = ["SceneEvents", "scene_3d"]
