"""The floor of an endpoint: FastAPI hands the body to aiokafka, acks=all, and checks nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request
from fastapi.responses import Response

from shared.runtime.settings import Settings

TOPIC = "bench.bare"


def app(settings: Settings) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all")
        await app.state.producer.start()
        yield
        await app.state.producer.stop()

    bare = FastAPI(lifespan=lifespan)

    @bare.post("/v1/predictions")
    async def post(request: Request) -> Response:
        await bare.state.producer.send_and_wait(TOPIC, await request.body())
        return Response(b'{"accepted":1}', 202, media_type="application/json")

    return bare


if __name__ == "__main__":
    given = Settings()
    uvicorn.run(
        app(given), host=given.host, port=given.port, access_log=False, log_level="warning", server_header=False
    )
