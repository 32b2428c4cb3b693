"""Entry of the dashboard: `streamlit run streamlit_app.py`."""

from __future__ import annotations

import streamlit as st
from starlette.middleware import Middleware

from core.system.freed_memory import limit_malloc_arenas
from dashboard.api.routes import api_routes
from dashboard.evaluation.board.routes import counts_routes
from dashboard.shell.first_paint import FirstPaint
from dashboard.shell.gate import Gate
from dashboard.shell.startup import decide_admission, lifespan
from dashboard.shell.traffic_limits import TrafficLimits
from dashboard.shell.upload_route import UploadRoute, keep_uploads_on_disk
from dashboard.spine_3d.routes import scene_routes
from dashboard.widgets.pictures import picture_routes
from dashboard.widgets.slice_viewer.routes import viewer_routes

limit_malloc_arenas(2)
decide_admission()
keep_uploads_on_disk()
app = st.App(
    "dashboard/app.py",
    routes=[
        *viewer_routes(),
        *scene_routes(),
        *counts_routes(),
        *picture_routes(),
        *api_routes(),
    ],
    middleware=[
        Middleware(Gate),
        Middleware(TrafficLimits),
        Middleware(FirstPaint),
        Middleware(UploadRoute),
    ],
    lifespan=lifespan,
)
