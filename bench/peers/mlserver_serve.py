"""MLServer on MUNIMENT_PORT with `parallel_workers=0`, its faster setting for a model that is quick to answer."""

import asyncio
import os

from mlserver import MLServer, ModelSettings, Settings
from mlserver_runtime import Bench


async def main() -> None:
    port = int(os.environ["MUNIMENT_PORT"])
    settings = Settings(
        host="127.0.0.1",
        http_port=port,
        grpc_port=int(os.environ["BENCH_GRPC_PORT"]),
        metrics_endpoint=None,
        parallel_workers=0,
        debug=False,
    )
    await MLServer(settings).start([ModelSettings(name="bench", implementation=Bench)])


if __name__ == "__main__":
    asyncio.run(main())
