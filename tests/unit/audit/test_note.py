"""Notes, keys and checkpoints: the specifications' own examples, and what is refused."""

import pytest

from services.audit.domain import checkpoint, keys, note
from services.audit.domain.checkpoint import Checkpoint
from services.audit.domain.note import BadNote, Note, SignerKey

VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
COSIGNED = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
OLD, NEW = SignerKey("example.org/log", bytes(32)), SignerKey("example.org/log", b"\1" * 32)


def test_the_example_of_the_specification_verifies():
    key = note.parse_verifier(VKEY)
    assert note.verified_by(note.parse(EXAMPLE), [key]) == [key]
    assert str(note.parse(EXAMPLE)) == EXAMPLE
    assert str(key) == VKEY


def test_keys_and_signatures_are_those_of_go_s_notes():
    signer = note.parse_signer(PRIVATE)
    assert str(signer.verifier) == PETER
    assert signer.encoded == PRIVATE
    assert PRIVATE[-20:] not in repr(signer)
    text = note.parse(PETERS).text
    assert str(Note(text, (signer.sign(text),))) == PETERS


def test_a_cosigned_checkpoint_of_the_specification_is_read():
    read = note.parse(COSIGNED)
    told = checkpoint.parse(read.text)
    assert (told.origin, told.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert told.text == read.text
    assert str(read) == COSIGNED
    assert note.timestamp(read.signatures[1]) == 1_679_315_147
    assert note.cosigned_message(read.text, 1_679_315_147).startswith(b"cosignature/v1\ntime 1679315147\nexample.com/")


def test_a_false_signature_of_a_known_key_spoils_the_note_and_unknown_keys_count_for_nothing():
    key = note.parse_verifier(VKEY)
    forged = note.parse(EXAMPLE.replace("example message", "exemple message"))
    with pytest.raises(BadNote, match="false"):
        note.verified_by(forged, [key])
    assert note.verified_by(note.parse(PETERS), [key]) == []
    assert not key.verifies("other\n", note.parse(EXAMPLE).signatures[0])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text\n",
        "text\n\nno signature\n",
        "text\n\n— name AAAA\n",
        "text\n\n— na+me AAAAAAAA\n",
        EXAMPLE[:-1],
        "a\tb\n\n",
    ],
)
def test_what_is_no_note(text):
    with pytest.raises(BadNote):
        note.parse(text)


def test_a_note_with_too_many_signatures_is_refused():
    lines = EXAMPLE.split("\n\n")[1] * 101
    with pytest.raises(BadNote, match="at most 100"):
        note.parse("text\n\n" + lines)


@pytest.mark.parametrize(
    "text", [VKEY[:-4], VKEY.replace("530d903a", "530d903b"), "name", "+a+b", VKEY.replace("Ae", "Be")]
)
def test_what_is_no_verifier_key(text):
    with pytest.raises(BadNote):
        note.parse_verifier(text)


@pytest.mark.parametrize("text", [PRIVATE[1:], PRIVATE[:-4], PRIVATE.replace("c74f", "c74e")])
def test_what_is_no_private_key_is_never_quoted(text):
    with pytest.raises(BadNote) as raised:
        note.parse_signer(text)
    assert PRIVATE[-20:-8] not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "log\n1\n",
        "log\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "log\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
        "log\n1\nCsUYapGGPo4=\n",
        "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
        "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n",
    ],
)
def test_what_is_no_checkpoint(text):
    with pytest.raises(BadNote):
        checkpoint.parse(text)


def test_extension_lines_stay_in_the_text():
    told = Checkpoint("log", 3, bytes(32), ("more",))
    assert checkpoint.parse(told.text) == told


def test_a_key_hands_over_to_its_successor_by_both_signatures():
    handed = keys.endorse(NEW, str(OLD.verifier), OLD)
    assert keys.successor(str(handed), OLD.verifier) == NEW.verifier
    assert keys.successor(str(handed), NEW.verifier) is None
    alone = keys.endorse(NEW, str(OLD.verifier), None)
    with pytest.raises(BadNote, match="both keys"):
        keys.successor(str(alone), OLD.verifier)
    with pytest.raises(BadNote, match="both keys"):
        keys.successor(
            str(handed).replace("muniment signing key", "muniment signing key", 1).replace("\n— ", "\n— x"),
            OLD.verifier,
        )
