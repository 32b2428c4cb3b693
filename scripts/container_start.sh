#!/bin/sh
# Start of the container: prepare synthetic studies where no data set is mounted, then serve.
set -eu
[ -n "${RSNA_ROOT:-}" ] || python -m core demo
set -- --server.maxUploadSize "${MAX_UPLOAD_MIB:-1024}" \
    --server.allowedHosts localhost --server.allowedHosts 127.0.0.1
for host in $(printf %s "${ALLOWED_HOSTS:-}" | tr ',' ' '); do
    set -- "$@" --server.allowedHosts "$host"
done
if [ "${WORKERS:-1}" != 1 ]; then
    exec python -m scripts.workers --address 0.0.0.0 --port 8501 --workers "$WORKERS" -- "$@"
fi
exec python -m streamlit run streamlit_app.py "$@" \
    --server.address 0.0.0.0 --server.port 8501 --server.headless true
