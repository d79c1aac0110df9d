# The operator's image. Online:  docker build -t grpctracing/operator:0.1.0 .
# Offline (the cluster harness): wheels of requirements/operator.txt in wheels/, and BASE_IMAGE a local Debian with Python.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS build
# The bracket makes the folder optional: COPY fails on a missing name, not on a pattern that matches nothing.
COPY requirements/operator.txt wheel[s]/ /build/
RUN python3 -m venv /app/venv \
 && if ls /build/*.whl >/dev/null 2>&1; then offline="--no-index --find-links /build"; fi \
 && /app/venv/bin/pip install --no-cache-dir --require-hashes ${offline:-} -r /build/operator.txt \
 && rm -rf /app/venv/lib/python3*/site-packages/pip /app/venv/lib/python3*/site-packages/pip-*.dist-info /app/venv/bin/pip*
COPY operator/grpctracing /app/operator/grpctracing
RUN /app/venv/bin/python3 -m compileall -q /app/operator
COPY sidecar/payload /app/payload

FROM ${BASE_IMAGE}
COPY --from=build /app /app
ENV PATH=/app/venv/bin:$PATH \
    PYTHONPATH=/app/operator \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GRPCTRACING_PAYLOAD_DIR=/app/payload
WORKDIR /app
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["python3", "-m", "grpctracing.cli"]
CMD ["run"]
