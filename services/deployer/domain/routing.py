"""Who answers which row: keys fall into buckets, buckets belong to versions.

Stable hashing of keys into a fixed number of buckets, as in online experiments (R. Kohavi, D. Tang, Y. Xu, Trustworthy
Online Controlled Experiments, 2020, ch. 4). Which version owns a bucket depends on the deployment's past traffic: no
function of the present shares alone could keep three or more challengers' keys in place while one of them grows.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from shared.events.deployer import Traffic

BUCKETS = 10_000
"""One bucket is a hundredth of a percent."""


def buckets_of_percent(percent: float) -> int:
    """The number of buckets in a share."""
    return round(percent * BUCKETS / 100)


def bucket_of(deployment: str, key: str) -> int:
    """The bucket of a key, 0 to BUCKETS - 1; the same in every process and release. The deployment is hashed along, so
    that an entity's luck differs between deployments."""
    digest = blake2b(f"{deployment}:{key}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS


def arrange(before: NDArray[np.int32] | None, traffic: Traffic) -> NDArray[np.int32] | None:
    """The owner (a version) of each bucket, int32[BUCKETS]; None where all belong to the champion.

    A challenger that grows takes buckets from the champion only, one that shrinks gives them back to the champion only:
    a key never moves between two challengers whose shares did not ask for it.
    """
    wanted = {share.version: buckets_of_percent(share.percent) for share in traffic.challengers}
    if not any(wanted.values()):
        return None
    champion = traffic.champion
    owners = np.full(BUCKETS, champion, np.int32) if before is None else before.copy()
    owners[~np.isin(owners, list(wanted))] = champion
    for version, count in wanted.items():
        owners[_preferred(owners, version, version)[count:]] = champion
    for version, count in wanted.items():
        missing = count - int(np.count_nonzero(owners == version))
        owners[_preferred(owners, version, champion)[:missing]] = version
    owners.flags.writeable = False
    return owners


def route(
    traffic: Traffic, buckets: NDArray[np.int32] | None, deployment: str, keys: Sequence[str]
) -> NDArray[np.int32]:
    """The version that answers each row, int32[len(keys)], given each row's key and the owners of the buckets."""
    if buckets is None:
        return np.full(len(keys), traffic.champion, np.int32)
    return buckets[[bucket_of(deployment, key) for key in keys]]


def _preferred(owners: NDArray[np.int32], version: int, owner: int) -> NDArray[np.int64]:
    """The buckets of `owner` in the order in which `version` likes to have them: from a place of its own on, so that
    not every experiment falls on the same entities, and a share that comes back falls on its old ones."""
    start = bucket_of("version", str(version))
    order = np.roll(np.arange(BUCKETS), -start)
    return order[owners[order] == owner]
