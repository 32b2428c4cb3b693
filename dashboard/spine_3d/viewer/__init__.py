"""The 3D scene in the page: `docs/pages/spine_3d.md` describes its parts."""

from dashboard.spine_3d.viewer.component import SceneEvents, scene_3d

__all__ = ["SceneEvents", "scene_3d"]
