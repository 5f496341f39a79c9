"""A key goes where Kafka's other clients would send it."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from shared.log.kafka import hashed, partition_of


@given(st.binary(max_size=40), st.integers(1, 50))
def test_a_key_goes_where_aiokafka_sends_it(key: bytes, partitions: int) -> None:
    every = list(range(partitions))
    assert partition_of(key, every, every) == DefaultPartitioner()(key, every, every)


def test_a_key_goes_where_javas_client_sends_it() -> None:
    """Source: UtilsTest.testMurmur2 of Apache Kafka."""
    assert hashed(b"21") == -973932308 & 0x7FFFFFFF
    assert hashed(b"foobar") == -790332482 & 0x7FFFFFFF
