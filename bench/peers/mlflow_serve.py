"""MLflow's own server on MUNIMENT_PORT with four workers, its state in the database that BENCH_DSN names."""

import os

from mlflow.cli import cli

if __name__ == "__main__":
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    server = ["server", "--host", "127.0.0.1", "--port", os.environ["MUNIMENT_PORT"], "--workers", "4"]
    cli([*server, "--backend-store-uri", os.environ["BENCH_DSN"], "--allowed-hosts", "*"])
