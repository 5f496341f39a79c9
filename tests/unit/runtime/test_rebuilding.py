"""How a rebuild parts the log among its processes."""

from shared.log.records import TopicPartition
from shared.runtime.rebuilding import as_text, parsed, parted


def place(number: int, consumer: str = "audit.ledger") -> tuple[str, TopicPartition]:
    return consumer, TopicPartition("muniment.registry", number)


def test_every_partition_has_one_process_and_all_have_about_as_much():
    ends = {place(0): 50, place(1): 30, place(2): 20, place(3): 10, place(4): 0, place(0, "audit.other"): 0}
    shares = parted(ends, 2)
    assert sorted(name for share in shares for name in share) == sorted(ends)
    assert [sum(ends[name] for name in share) for share in shares] == [60, 50]
    assert parted(ends, 2) == shares


def test_no_process_is_left_without_a_partition():
    ends = dict.fromkeys(map(place, range(3)), 0)
    assert [len(share) for share in parted(ends, 8)] == [1, 1, 1]
    assert [len(share) for share in parted(ends, 2)] == [2, 1]
    assert parted({}, 2) == [[]]


def test_a_share_survives_its_way_to_a_process():
    share = {place(0): 17, place(3, "audit.ö"): 0}
    assert parsed(as_text(share)) == share
