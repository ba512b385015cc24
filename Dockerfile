# The environment of a worker, on a GPU or without one; the clone is mounted, so that its data, DVC's cache and what a
# training saved outlive the container. From the project's root:
#   docker build --build-arg UID=$(id -u) -t fcn-worker .
# requirements.lock brings torch with CUDA 13.0 of its own; of the base image it takes what the driver needs.
FROM nvidia/cuda:13.0.3-base-rockylinux9

# Python 3.11 is the one that the lock was made with.
RUN dnf install -y --setopt=install_weak_deps=False python3.11 python3.11-pip git procps-ng && dnf clean all

ARG UID=1000
RUN useradd --uid ${UID} --create-home --home-dir /worker worker
USER worker

ENV PATH=/worker/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DO_NOT_TRACK=1 \
    DVC_NO_ANALYTICS=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    PREFECT_SERVER_ANALYTICS_ENABLED=false
COPY requirements.lock /worker/
RUN python3.11 -m venv /worker/venv \
 && pip install --no-cache-dir -r /worker/requirements.lock \
 && git config --global --add safe.directory '*' \
 && mkdir /worker/artifacts

# Ended by SIGTERM, which cancels what is at work and lets a training save.
WORKDIR /project
CMD ["python", "-m", "flows.site"]
