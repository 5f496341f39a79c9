"""The client of a witness: c2sp.org/tlog-witness, `add-checkpoint`."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from services.audit.domain.note import COSIGNED, BadNote, Signature, VerifierKey, parse_signature, parse_verifier

SIZE = "text/x.tlog.size"
_MEANS = {
    403: "it does not trust the key that signed the checkpoint: give it the verifier keys of /v1/keys",
    404: "it does not know this tree: give it the origin and the verifier keys of /v1/keys",
    422: "it says that the record does not continue what it saw before: this is how a rewritten record shows",
}


class WitnessRefused(Exception):
    """Why there is no cosignature, for a person to read."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness by the URL prefix to which `/add-checkpoint` is added, and its verifier key."""

    url: str
    verifier: VerifierKey

    @classmethod
    def of(cls, setting: str) -> "Witness":
        """A witness as `MUNIMENT_WITNESSES` names it: `URL VERIFIERKEY`. Raises WitnessRefused."""
        url, _, key = setting.strip().partition(" ")
        try:
            verifier = parse_verifier(key)
        except BadNote as error:
            raise WitnessRefused(f"the setting '{setting}' is not 'URL VERIFIERKEY': {error}") from error
        if verifier.kind != COSIGNED:
            raise WitnessRefused(f"the key of {verifier.name} is not one for cosignatures (type 0x04)")
        return cls(url.rstrip("/"), verifier)

    async def add_checkpoint(
        self, client: httpx.AsyncClient, old: int, proof: Sequence[bytes], note: str
    ) -> list[Signature] | int:
        """Its signatures, or the size that it saw last, where that is another than `old`. Raises WitnessRefused, and
        httpx.HTTPError where it cannot be reached."""
        lines = "".join(f"{b64encode(one).decode()}\n" for one in proof)
        body = f"old {old}\n{lines}\n{note}"
        response = await client.post(f"{self.url}/add-checkpoint", content=body.encode())
        if response.status_code == 409 and response.headers.get("content-type", "").startswith(SIZE):
            return _size(response.text)
        if response.status_code != 200:
            means = _MEANS.get(response.status_code, response.text[:200])
            raise WitnessRefused(f"{self.url} answered {response.status_code}: {means}")
        try:
            return [parse_signature(line) for line in response.text.splitlines() if line]
        except BadNote as error:
            raise WitnessRefused(f"{self.url} answered no signature lines: {error}") from error

    def own(self, signatures: Sequence[Signature]) -> Signature:
        """The one that this witness made. Raises WitnessRefused."""
        for signature in signatures:
            if (signature.name, signature.key_id) == (self.verifier.name, self.verifier.key_id):
                return signature
        raise WitnessRefused(f"{self.url} answered no signature of {self.verifier.name}")


def _size(text: str) -> int:
    line = text.removesuffix("\n")
    if not (line.isascii() and line.isdigit() and len(line) < 20):
        raise WitnessRefused("a conflict without the size that was cosigned last")
    return int(line)
