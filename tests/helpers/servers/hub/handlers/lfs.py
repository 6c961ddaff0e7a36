"""Git LFS: the batch call, and the transfers `basic` and `multipart`."""

import re
import uuid
from math import ceil
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.helpers.servers.hub.handlers.refusals import Refusal
from tests.helpers.servers.hub.handlers.repo_request import RepoRequest
from tests.helpers.servers.hub.storage.objects import Objects

SHA256 = re.compile(r"[0-9a-f]{64}")
KIND = "application/vnd.git-lfs+json"


async def batch(request: RepoRequest, multipart: int | None) -> Response:
    """Answer with the upload address of each content; with none for a content that is stored already."""
    body = await request.json()
    if body.get("operation") != "upload":
        raise Refusal(400, "Only uploads are served; files are read by their address")
    parts = multipart if multipart and "multipart" in body.get("transfers", []) else None
    answers = [_actions(request, entry["oid"], entry["size"], parts) for entry in body["objects"]]
    large = any("chunk_size" in entry.get("actions", {}).get("upload", {}).get("header", {}) for entry in answers)
    return JSONResponse({"transfer": "multipart" if large else "basic", "objects": answers}, media_type=KIND)


def _actions(request: RepoRequest, oid: str, size: int, multipart: int | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"oid": oid, "size": size}
    if not SHA256.fullmatch(oid):
        return answer | {"error": {"code": 422, "message": "the oid is no sha256"}}
    if request.store.objects.size(oid) == size:
        return answer
    upload: dict[str, Any] = {"href": f"{request.url}/_lfs/objects/{oid}"}
    if multipart is not None and size > multipart:
        name = uuid.uuid4().hex
        count = ceil(size / multipart)
        header = {str(number): f"{request.url}/_lfs/parts/{name}/{number}" for number in range(1, count + 1)}
        upload = {"href": f"{request.url}/_lfs/complete/{name}", "header": {"chunk_size": str(multipart)} | header}
    return answer | {
        "actions": {"upload": upload, "verify": {"href": f"{request.address}.git/info/lfs/objects/verify"}}
    }


async def verify(request: RepoRequest) -> Response:
    """Check that a content is stored."""
    body = await request.json()
    if request.store.objects.size(body["oid"]) != body["size"]:
        raise Refusal(404, "The object does not exist, or its size differs")
    return JSONResponse({"success": True})


async def storage(request: Request, objects: Objects, parts: list[str]) -> Response:
    """Store a content or a part of one, or complete a multipart upload; the address is the permission."""
    match request.method, parts:
        case "PUT", ["objects", oid] if SHA256.fullmatch(oid):
            if not await objects.receive(request.stream(), oid):
                raise Refusal(400, "The content does not have the sha256 that it was announced with")
            return Response(headers={"ETag": f'"{oid}"'})
        case "PUT", ["parts", upload, number] if upload.isalnum() and number.isdigit():
            return Response(headers={"ETag": f'"{await objects.receive_part(request.stream(), upload, int(number))}"'})
        case "POST", ["complete", upload] if upload.isalnum():
            body = await request.json()
            numbers = [part["partNumber"] for part in body["parts"]]
            if objects.size(body["oid"]) is None:
                if not objects.has_parts(upload, numbers):
                    raise Refusal(400, "Parts are missing")
                if not objects.join(upload, numbers, body["oid"]):
                    raise Refusal(400, "The parts do not make the sha256 that they were announced with")
            return JSONResponse({"success": True})
    raise Refusal(404, "Not Found")
