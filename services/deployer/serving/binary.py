"""The binary tensor data extension: tensors as raw bytes behind the JSON of a request or an answer.

Source: Open Inference Protocol, "Binary Tensor Data Extension": little-endian, row-major; BYTES elements behind a
4-byte length each; the header `Inference-Header-Content-Length` tells where the JSON ends.
"""

import struct
from typing import Any

import numpy as np
import orjson

from services.deployer.serving.refusals import bad_request
from services.deployer.serving.tensors import DATATYPES
from shared.runtime.edge import check_json
from shared.runtime.responses import encoded

HEADER = "Inference-Header-Content-Length"
EXTENSION = "binary_tensor_data"
_SIZE = "binary_data_size"
_LENGTH = struct.Struct("<I")


def parsed(body: bytes) -> Any:
    """The JSON of a body. Raises Problem 400."""
    if b"\\u0000" in body:
        check_json(body)  # the edge looked only at what came as JSON by its content type
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request("malformed-json", f"The body is no JSON: {error}.", "Send JSON by RFC 8259.") from error


def unpacked(body: bytes, header: str) -> Any:
    """The JSON of a request with the raw tensors as arrays in `data`. Raises Problem 400."""
    if not header.isascii() or not header.isdigit() or int(header[:12]) > len(body):
        raise bad_request("bad-binary", f"{HEADER} is {header!r:.50}, and the body has {len(body)} bytes.")
    start = int(header)
    request = parsed(body[:start])
    inputs = request.get("inputs") if isinstance(request, dict) else None
    for one in inputs if isinstance(inputs, list) else ():
        parameters = one.get("parameters") if isinstance(one, dict) else None
        if isinstance(parameters, dict) and _SIZE in parameters:
            size = parameters.pop(_SIZE)
            if type(size) is not int or not 0 <= size <= len(body) - start:
                raise bad_request("bad-binary", f"{_SIZE} is {size!r:.50}; {len(body) - start} bytes are left.")
            one["data"] = _array(one, body[start : start + size])
            start += size
    if start != len(body):
        raise bad_request("bad-binary", f"{len(body) - start} bytes of the body belong to no input.")
    return request


def packed(request: Any, answer: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """The answer's bytes and headers, with those outputs raw for which the request asks that."""
    wanted = _wanted(request, [one["name"] for one in answer["outputs"]])
    if not wanted:
        return encoded(answer), {"Content-Type": "application/json"}
    raw: list[bytes] = []
    for one in answer["outputs"]:
        if one["name"] in wanted:
            data = _bytes(one["datatype"], one.pop("data"))
            one["parameters"] = {_SIZE: len(data)}
            raw.append(data)
    text = encoded(answer)
    return text + b"".join(raw), {"Content-Type": "application/octet-stream", HEADER: str(len(text))}


def _wanted(request: dict[str, Any], names: list[str]) -> set[str]:
    parameters, outputs = request.get("parameters"), request.get("outputs")
    every = isinstance(parameters, dict) and parameters.get("binary_data_output") is True
    told = {one["name"]: one.get("parameters") for one in outputs or ()}
    own = {name: one.get("binary_data") for name, one in told.items() if isinstance(one, dict)}
    return {name for name in names if own.get(name, every) is True}


def _array(one: dict[str, Any], data: bytes) -> Any:
    name, datatype = one.get("name"), one.get("datatype")
    if datatype == "BYTES":
        return np.array(_texts(name, data), np.object_)
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        return []  # refused for its datatype where tensors are read
    dtype = np.dtype(DATATYPES[datatype]).newbyteorder("<")
    if len(data) % dtype.itemsize:
        raise bad_request("bad-binary", f"Input {name!r:.100} has {len(data)} bytes, no multiple of {dtype.itemsize}.")
    array = np.frombuffer(data, dtype)
    if datatype == "BOOL" and np.frombuffer(data, np.uint8).max(initial=0) > 1:
        raise bad_request("bad-data", f"Input {name!r:.100} is BOOL and holds bytes other than 0 and 1.")
    return array.astype(DATATYPES[datatype], copy=False)


def _texts(name: Any, data: bytes) -> list[str]:
    texts: list[str] = []
    place = 0
    while place < len(data):
        if place + _LENGTH.size > len(data):
            raise bad_request("bad-binary", f"Input {name!r:.100} ends within the length of an element.")
        (size,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size
        if place + size > len(data):
            raise bad_request("bad-binary", f"Input {name!r:.100} ends within an element.")
        try:
            texts.append(data[place : place + size].decode())
        except UnicodeDecodeError as error:
            raise bad_request("bad-data", f"Input {name!r:.100} holds bytes that are no UTF-8.") from error
        if "\0" in texts[-1]:
            raise bad_request("bad-data", f"Input {name!r:.100} holds a text with a NUL character.")
        place += size
    return texts


def _bytes(datatype: str, data: list[Any]) -> bytes:
    if datatype == "BYTES":
        texts = [str(value).encode() for value in data]
        return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
    return np.array(data, np.dtype(DATATYPES[datatype]).newbyteorder("<")).tobytes()
