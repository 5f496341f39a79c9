"""Verify what Muniment proves, without it and without trust in who runs it: this file and Python 3.11.

    python verify_standalone.py bundle FILE.json|record FOLDER --key KEY [--seen CHECKPOINT]... [--witness KEY]...
                                [--show]

KEY is the verifier key that you trust, got otherwise than with what you verify; CHECKPOINT a file with one that you, or
anybody, got before: without one, nobody can tell a record that was rewritten as a whole. Every witness named
must have cosigned. What a bundle proves is told, a line for each event; with --show all that it says.
Exit 0: all holds; 1: something does not (each line says what and where); 2: unreadable.
Formats: RFC 6962, c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature. Signatures are checked by `cryptography`
where it is installed, else here by RFC 8032, which takes some 20 ms each.
"""

import argparse
import json
import sys
from base64 import b64decode
from functools import reduce
from hashlib import sha256, sha512
from pathlib import Path

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    Ed25519PublicKey, InvalidSignature = None, ValueError

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def point(data):
    """A point of the curve in extended coordinates, or None (RFC 8032 §5.1.3)."""
    y, sign = int.from_bytes(data, "little") % 2**255, data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = x if x & 1 == sign else P - x
    return x, y, 1, x * y % P


def plus(left, right):
    """The sum of two points (RFC 8032 §5.1.4)."""
    (x1, y1, z1, t1), (x2, y2, z2, t2) = left, right
    a, b, c, d = (y1 - x1) * (y2 - x2), (y1 + x1) * (y2 + x2), 2 * t1 * t2 * D, 2 * z1 * z2
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number, one):
    total = (0, 1, 1, 0)
    while number:
        total = plus(total, one) if number & 1 else total
        one, number = plus(one, one), number >> 1
    return total


def verifies(key, signature, message):
    """Whether an Ed25519 signature is of this key over this message (RFC 8032 §5.1.7)."""
    if len(signature) != 64 or len(key) != 32:
        return False
    mine, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if mine is None or r is None or s >= L:
        return False
    digest = int.from_bytes(sha512(signature[:32] + key + message).digest(), "little") % L
    left, right = times(s, point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))), plus(r, times(digest, mine))
    return all((left[one] * right[2] - right[one] * left[2]) % P == 0 for one in (0, 1))


def genuine(key, signature, message):
    if Ed25519PublicKey is None:
        return verifies(key, signature, message)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def node(left, right):
    return sha256(b"\1" + left + right).digest()


def climb(place, last, start, proof):
    """The (old, new) roots to which a proof leads from a hash (RFC 9162 §2.1.3.2 and §2.1.4.2)."""
    before = after = start
    for one in proof:
        if last <= 0:
            return None, None
        if place & 1 or place == last:
            before, after = node(one, before), node(one, after)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            after = node(after, one)
        place, last = place >> 1, last >> 1
    return (before, after) if last == 0 else (None, None)


def consistent(old, old_root, new, new_root, proof):
    """Whether the old tree is the beginning of the new one."""
    if not 0 < old < new:
        return old == new and old_root == new_root
    path = proof if old & (old - 1) else [old_root, *proof]
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    return bool(path) and climb(place, last, path[0], path[1:]) == (old_root, new_root)


def append(parts, size, leaf):
    """Put a leaf behind a tree of this size, kept as the roots of its perfect subtrees, the largest first."""
    while size & 1:
        leaf, size = node(parts.pop(), leaf), size >> 1
    parts.append(leaf)


def root_of(parts):
    return reduce(lambda right, left: node(left, right), reversed(parts)) if parts else sha256().digest()


def key_of(text):
    """(name, key id, type, public key) of a verifier key."""
    name, key_id, data = text.strip().split("+", 2)
    raw = b64decode(data, validate=True)
    if len(raw) != 33 or sha256(name.encode() + b"\n" + raw).hexdigest()[:8] != key_id:
        raise ValueError(f"{text} is no verifier key")
    return name, bytes.fromhex(key_id), raw[0], raw[1:]


def signed(note, keys):
    """(text, the keys that signed it). Raises ValueError where a signature of one of them is false."""
    text, _, lines = note.rpartition("\n\n")
    text, found = text + "\n", []
    for line in lines.splitlines():
        name, _, data = line.removeprefix("— ").partition(" ")
        raw = b64decode(data, validate=True)
        for key in keys:
            if (name, raw[:4]) == key[:2]:
                message, signature = text.encode(), raw[4:]
                if key[2] == 4:
                    signature, seconds = raw[12:], int.from_bytes(raw[4:12], "big")
                    message = b"cosignature/v1\ntime %d\n" % seconds + message
                if not genuine(key[3], signature, message):
                    raise ValueError(f"the signature of {name} is false")
                found.append(key)
    return text, found


def successors(trusted, notes):
    """The trusted key and those to which it handed over, one after another, each by its predecessor's signature."""
    chain = [trusted]
    for note in notes:
        lines = note.split("\n")
        if lines[0] != "muniment signing key" or lines[2] != f"replaces {chain[-1]}":
            continue
        if len({key[1] for key in signed(note, [key_of(chain[-1]), key_of(lines[1])])[1]}) == 2:
            chain.append(lines[1])
    return [key_of(one) for one in chain]


class Verifier:
    """Collects what does not hold."""

    def __init__(self, arguments, endorsements):
        self.problems, self.proven = [], []
        self.keys = successors(arguments.key.strip(), endorsements)
        self.witnesses = [key_of(one) for one in arguments.witness]
        seen = {path: self.checkpoint(Path(path).read_text(), path) for path in arguments.seen}
        self.seen = {path: head for path, head in seen.items() if head}

    def checkpoint(self, note, what, witnessed=False):
        """(size, root) of a signed checkpoint; notes what is wrong with it."""
        try:
            text, by = signed(note, [*self.keys, *self.witnesses])
            origin, size, root = text.split("\n")[:3]
            if origin != self.keys[0][0] or not any(key[2] == 1 for key in by):
                raise ValueError(f"no trusted key of {self.keys[0][0]} signed it")
            missing = [key[0] for key in self.witnesses if witnessed and key not in by]
            if missing:
                raise ValueError(f"not cosigned by {', '.join(missing)}")
            return int(size), b64decode(root, validate=True)
        except ValueError as error:
            self.problems.append(f"{what}: {error}")
            return None

    def bundle(self, bundle):
        """A proof bundle."""
        head = self.checkpoint(bundle["checkpoint"], "checkpoint", True)
        if head is None:
            return ""
        for entry in bundle["entries"]:
            data, index, proof = b64decode(entry["entry"]), entry["index"], map(b64decode, entry["proof"])
            name, leaf = f"event {entry['event_id']} (leaf {index})", sha256(b"\0" + data).digest()
            if not 0 <= index < head[0] or climb(index, head[0] - 1, leaf, proof)[1] != head[1]:
                self.problems.append(f"{name}: its proof does not lead to the checkpoint's root")
            elif (event := json.loads(data))["id"] != entry["event_id"]:
                self.problems.append(f"{name}: the entry is that of another event, {event['id']}")
            elif "table" in entry and sha256(b64decode(entry["table"])).hexdigest() != event.get("tablesha256"):
                self.problems.append(f"{name}: the rows are not those that were recorded")
            else:
                self.proven.append((index, event))
        link = bundle.get("consistency", {"from": None, "proof": []})
        for path, seen in self.seen.items():
            proof = [b64decode(one) for one in link["proof"]] if link["from"] == seen[0] else []
            if seen[0] > head[0]:
                self.problems.append(f"{path}: saw {seen[0]} leaves, this has {head[0]}: truncated, or an older bundle")
            elif seen[0] != head[0] and link["from"] != seen[0]:
                self.problems.append(f"{path}: no proof from its {seen[0]} leaves; ask for since={seen[0]}")
            elif not consistent(*seen, *head, proof):
                self.problems.append(f"{path}: two views: the {head[0]} leaves do not continue the {seen[0]} seen")
        events = "1 event" if len(bundle["entries"]) == 1 else f"{len(bundle['entries'])} events"
        return f"{events}, proven by the checkpoint of {head[0]} leaves"

    def record(self, folder):
        """A whole record, as `muniment record` writes it."""
        listed, heads = [json.loads(line) for line in (folder / "checkpoints.jsonl").open()], {}
        for number, one in enumerate(listed, 1):
            what = f"checkpoint {number} ({one['size']} leaves)"
            head = self.checkpoint(one["checkpoint"], what, number == len(listed))
            if head and heads.setdefault(head[0], head[1]) != head[1]:
                self.problems.append(f"two views: two checkpoints of {head[0]} leaves have different roots")
        runs = (run for one in listed for run in one["runs"])
        places = ((run["topic"], run["partition"], at) for run in runs for at in range(run["begin"], run["end"]))
        parts, roots, size, start, suspects, stated = [], {}, 0, 0, [], []
        hashes = (folder / "hashes.bin").open("rb")
        for index, line in enumerate((folder / "entries.jsonl").open()):
            row = json.loads(line)
            place, data = (row["topic"], row["partition"], row["offset"]), row["entry"].encode()
            where = f"leaf {index} ({place[0]}[{place[1]}] offset {place[2]})"
            append(parts, size, leaf := sha256(b"\0" + data).digest())
            kept, size = hashes.read(32), size + 1
            if row["index"] != index or next(places, None) != place:
                suspects.append(f"{where}: another entry belongs here: one was inserted, deleted or moved")
            elif leaf != kept:
                suspects.append(f"{where}: the entry and the tree's hash differ")
            if (event := json.loads(data)).get("type") == "CheckpointSigned":
                stated.append((where, event["data"]["note"]))
            if size in heads:
                self.problems += suspects[:10]
                roots[size] = root_of(parts)
                if roots[size] != heads[size]:
                    self.problems.append(f"leaves {start} to {index}: not what the checkpoint of {size} leaves signed")
                    return ""
                start, suspects = size, []
        self.problems += suspects[:10]
        if size != (newest := max(heads, default=0)):
            self.problems.append(f"leaf {size}: the record ends before it; the newest checkpoint signed {newest}")
        for where, head in [*((where, self.checkpoint(note, where)) for where, note in stated), *self.seen.items()]:
            if head and head[0] > size:
                self.problems.append(f"{where}: signed {head[0]} leaves; all from leaf {size} on are gone")
            elif head and roots.get(head[0]) != head[1]:
                self.problems.append(f"{where}: two views: its checkpoint of {head[0]} leaves is another here")
        return f"{size} events and {len(listed)} checkpoints are one record"


def run(arguments):
    """Verify, print what came out, and answer the exit code."""
    path, bundle = arguments.path, {}
    try:
        keys = json.loads((path / "keys.json" if arguments.kind == "record" else path).read_text())
        if arguments.kind == "bundle":
            keys, bundle = keys["keys"], keys
        verifier = Verifier(arguments, [key["endorsement"] for key in keys])
        told = verifier.bundle(bundle) if bundle else verifier.record(path)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        print(f"cannot be read: {type(error).__name__}: {error}")
        return 2
    for problem in verifier.problems:
        print(f"DOES NOT HOLD: {problem}")
    if not verifier.problems:
        print(f"Holds: {told}.")
        for index, event in verifier.proven:
            named = ("type", "subject", "actor", "time", "recordedtime")
            what, whose, who, at, recorded = (json.dumps(event[one])[1:-1] for one in named)  # ASCII, nothing else
            print(f"leaf {index}: {what} of {whose}, by {who}, at {at}, recorded {recorded}")
            if arguments.show:
                print(json.dumps(event, indent=2))
    return 1 if verifier.problems else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["bundle", "record"])
    parser.add_argument("path", type=Path)
    parser.add_argument("--key", required=True, help="the verifier key that you trust")
    parser.add_argument("--seen", action="append", default=[], help="file of a checkpoint that was seen before")
    parser.add_argument("--witness", action="append", default=[], help="verifier key of a witness that you trust")
    parser.add_argument("--show", action="store_true", help="show all that each event of a bundle says")
    sys.exit(run(parser.parse_args()))
