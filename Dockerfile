# The dashboard as one image, without a GPU: docs/deployment.md says how to run it.
FROM python:3.11-slim-bookworm AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements.txt constraints.txt /tmp/
# The CPU build of torch: a tenth of the size. For a GPU, build with --build-arg TORCH_INDEX=https://pypi.org/simple
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN PIP_EXTRA_INDEX_URL=$TORCH_INDEX /venv/bin/pip install -r /tmp/requirements.txt -c /tmp/constraints.txt

FROM python:3.11-slim-bookworm
# vtk links against the libraries; HAProxy stands before several workers (WORKERS=4).
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends libgl1 libxrender1 libglib2.0-0 haproxy \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 lab \
    && mkdir -p /data /app \
    && chown lab:lab /data
COPY --from=packages /venv /venv
WORKDIR /app
COPY core core
COPY dashboard dashboard
COPY pages pages
COPY checkpoints checkpoints
COPY configs configs
COPY .streamlit/config.toml .streamlit/config.toml
COPY streamlit_app.py pyproject.toml ./
COPY scripts/__init__.py scripts/install.py scripts/proxy.py scripts/supervised.py scripts/workers.py scripts/
COPY scripts/container_start.sh /usr/local/bin/container_start
COPY scripts/container_health.py /usr/local/bin/container_health.py
USER lab
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    CSPINE_VAR=/data RSNA_CACHE=/data/cache
VOLUME /data
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python", "/usr/local/bin/container_health.py"]
ENTRYPOINT ["sh", "/usr/local/bin/container_start"]
