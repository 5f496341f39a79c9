# One image per service: docker build --build-arg SERVICE=registry .
FROM python:3.11-slim AS build
ARG SERVICE
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY shared shared
COPY services/__init__.py services/__init__.py
COPY services/${SERVICE} services/${SERVICE}
RUN test -n "${SERVICE}" \
    && python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt ".[${SERVICE}]"

# The console speaks to the services over HTTP: docker build --target console .
FROM python:3.11-slim AS console-build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
COPY shared shared
COPY services/__init__.py services/__init__.py
COPY console console
COPY muniment muniment
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt ".[console]"

FROM python:3.11-slim AS console
RUN useradd --uid 1000 --create-home muniment
COPY --from=console-build /venv /venv
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MUNIMENT_HOST=0.0.0.0 \
    MUNIMENT_PORT=8080
USER muniment
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"MUNIMENT_PORT\"]}/health/live', timeout=2)"]
ENTRYPOINT ["python", "-m", "console"]

FROM python:3.11-slim
ARG SERVICE
RUN useradd --uid 1000 --create-home muniment && install --directory --mode 0777 /data /data/reports /data/signing
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SERVICE=${SERVICE} \
    MUNIMENT_HOST=0.0.0.0 \
    MUNIMENT_PORT=8080 \
    MUNIMENT_DATA_DIR=/data
USER muniment
WORKDIR /data
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"MUNIMENT_PORT\"]}/health/live', timeout=2)"]
ENTRYPOINT ["sh", "-c", "exec python -m services.$SERVICE \"$@\"", "service"]
CMD ["all"]
