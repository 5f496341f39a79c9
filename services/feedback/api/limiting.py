"""How many flags one user may raise singly in a minute: who goes beyond is told to wait, and nothing is kept of it."""

from shared.runtime.problems import Problem
from shared.runtime.service import Service

SECONDS = 60


async def limited(service: Service, user: str, flags: int = 1) -> None:
    """Count so many flags of a user. Raises Problem 429 `too-many-flags` with `Retry-After`."""
    most = service.settings.flags_per_minute
    count, left = await service.live.count(f"feedback.flags.{user}", SECONDS, flags)
    if count > most:
        detail = f"{user} raised {most} flags in a minute, the most that is taken; this one was not kept."
        fix = f"Send it again in {left} s, or flag many at once with POST /v1/flags:bulk (predictions or query)."
        raise Problem(429, "too-many-flags", detail, fix, headers={"Retry-After": str(left)}, limit=most)
