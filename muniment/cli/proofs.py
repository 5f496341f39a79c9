"""Commands that prove: prove, record, signing-key; and the offline half of verify."""

import time
from argparse import Namespace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
import typer

from muniment import verify_standalone
from muniment.cli.options import DEFAULT_URL as URL
from muniment.cli.options import NO, UNKNOWN, Actor, AsJson, Key, Url, connected, console, fail, show
from muniment.client import Client
from muniment.errors import ProblemError

PAGE = 1_000
_WAITS = {"no-checkpoint": 60.0, "not-yet-covered": 60.0, "unknown-event": 5.0}
"""Problems that pass by themselves, and how long they are waited for, in seconds."""

signing_key = typer.Typer(help="The key that signs checkpoints.", no_args_is_help=True)


def add(app: typer.Typer) -> None:
    for command in (prove, record):
        app.command()(command)


def prove(
    event_ids: Annotated[list[str], typer.Argument(help="Events, by their ids.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the bundle is written.")] = Path("proof.json"),
    since: Annotated[int | None, typer.Option(help="Size of a checkpoint that the reader has.")] = None,
    tables: Annotated[bool, typer.Option(help="With the rows of prediction batches.")] = False,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Write a proof bundle that a stranger verifies offline. Waits for the next checkpoint where it must."""
    with connected(url, actor, key) as client:
        bundle = bundle_of(client, event_id=event_ids, since=since, tables=tables)
    out.write_bytes(orjson.dumps(bundle))
    told = {"bundle": str(out), "events": len(event_ids), "checkpoint": bundle["checkpoint"]}
    show(told, as_json, lambda: console.print(f"{out}: {len(event_ids)} proven. The reader runs verify_standalone.py."))


def record(
    folder: Annotated[Path, typer.Argument(help="A folder, made where it is missing.")],
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Write the whole record, in the order of its tree, to verify offline: entries, hashes, checkpoints and keys."""
    with connected(url, actor, key) as client:
        size = write_record(client, folder)
    show({"folder": str(folder), "size": size}, as_json, lambda: console.print(f"{folder}: {size} events"))


@signing_key.command("rotate")
def rotate(
    file: Annotated[Path, typer.Option(envvar="MUNIMENT_SIGNING_KEY", help="The file of private keys.")],
    origin: Annotated[str | None, typer.Option(help="The tree's name; default that of the key in the file.")] = None,
    lost: Annotated[str | None, typer.Option(help="Verifier key on record whose private key is lost.")] = None,
) -> None:
    """Make a new signing key; the worker adopts it at its next checkpoint, by the word of the old one."""
    from services.audit.worker.signing import KeyFile, SigningKeyMissing

    try:
        held, _ = KeyFile(file).read()
        name = origin or (held[-1].name if held else None) or (lost.partition("+")[0] if lost else None)
        if name is None:
            fail(f"{file} holds no key: name the tree's --origin", UNKNOWN)
        else:
            console.print(f"{KeyFile(file).add(name, lost).verifier}", highlight=False, soft_wrap=True)
    except SigningKeyMissing as error:
        fail(str(error), UNKNOWN)


def offline(
    bundle: Path | None,
    folder: Path | None,
    parts: str | None,
    trusted: str | None,
    seen: list[str],
    witness: list[str],
    shown: bool = False,
) -> NoReturn:
    """Verify without any server, as `verify_standalone.py` does, and end with its exit code."""
    if trusted is None or len([one for one in (bundle, folder, parts) if one]) > 1:
        fail("offline, verify takes one of --bundle, --record and --parts, and --trusted KEY", UNKNOWN)
    if parts:
        verify_parts(parts, trusted)
    kind = "bundle" if bundle else "record"
    asked = Namespace(kind=kind, path=bundle or folder, key=trusted, seen=seen, witness=witness, show=shown)
    raise typer.Exit(verify_standalone.run(asked))


def verify_parts(url: str, trusted: str) -> NoReturn:
    """Verify the cold parts of a place without any server: exit 0 where all hold, 1 where one does not, 2 where that
    cannot be told."""
    from services.audit.domain.note import BadNote
    from services.audit.parts.offline import verify
    from services.audit.parts.place import Place

    try:
        found = verify(Place.at(url), trusted)
    except (BadNote, OSError, ValueError) as error:
        fail(str(error), UNKNOWN)
    for problem in found.problems:
        console.print(problem, markup=False, highlight=False, soft_wrap=True)
    if not found.parts:
        fail(f"{url} holds no parts", UNKNOWN)
    if not found.problems:
        console.print(f"Holds: {found.parts} parts, leaves 0 to {found.end - 1}", highlight=False)
    raise typer.Exit(NO if found.problems else 0)


def bundle_of(client: Client, **query: Any) -> dict[str, Any]:
    """A proof bundle, waited for while no checkpoint covers the events. Raises ProblemError."""
    began = time.monotonic()
    while True:
        try:
            return client.get("/v1/proofs/bundle", **query)
        except ProblemError as problem:
            if time.monotonic() - began > _WAITS.get(problem.code, 0.0):
                raise
            time.sleep(1.0)


def write_record(client: Client, folder: Path) -> int:
    """Write what `verify_standalone.py record` reads; the size of its newest checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = list(client.pages("/v1/proofs/checkpoints"))[::-1]
    size: int = listed[-1]["size"] if listed else 0
    with (folder / "checkpoints.jsonl").open("wb") as file:
        for one in listed:
            told = client.get(f"/v1/proofs/checkpoints/{one['size']}")
            kept = {name: told[name] for name in ("size", "previous", "checkpoint", "runs")}
            file.write(orjson.dumps(kept) + b"\n")
    (folder / "keys.json").write_bytes(orjson.dumps(client.get("/v1/keys")["items"]))
    with (folder / "entries.jsonl").open("wb") as file:
        start: int | None = 0
        while start is not None and start < size:
            page = client.get("/v1/proofs/entries", start=start, limit=min(PAGE, size - start))
            file.writelines(orjson.dumps(item) + b"\n" for item in page["items"])
            start = page["next"]
    with (folder / "hashes.bin").open("wb") as file:
        for number in range(0, size, 256):
            width = min(256, size - number)
            file.write(tile(client, number // 256, width))
    return size


def tile(client: Client, number: int, width: int) -> bytes:
    """The hashes of leaves from 256 times `number` on."""
    digits = f"{number:012d}".lstrip("0").zfill(3)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    path = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]]) + ("" if width == 256 else f".p/{width}")
    return client.request("GET", f"/tile/0/{path}").content
