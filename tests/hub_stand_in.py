"""A small stand-in for the Hugging Face Hub: repositories in memory, over HTTP, with its refusals.

It answers what huggingface_hub asks of the Hub for models, Spaces and data sets; it is not the Hub.
"""

import base64
import hashlib
import io
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
import yaml
from drawing import drawn_photograph
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

TOKEN = "hf_secret_of_the_tests"
USER = "alice"


@dataclass
class Repository:
    """One model, Space or data set."""

    kind: str
    private: bool = False
    hardware: str = ""
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    def files(self, revision: str = "main") -> dict[str, bytes] | None:
        return self.commits.get(self.head if revision == "main" else revision)

    def commit(self, files: dict[str, bytes]) -> str:
        sha = hashlib.sha1(f"{len(self.commits)} {sorted(files)}".encode()).hexdigest()
        self.commits[sha] = files
        return sha


class Hub:
    """The stand-in's state, and what a test sets to make it refuse."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.free_account = False
        self.refuse: dict[str, list[int]] = {}  # step -> statuses of the next requests for it
        self.requests: Counter[str] = Counter()
        self.downloaded: list[str] = []
        self.endpoint = ""

    def add(self, repo: str, files: dict[str, bytes], kind: str = "model") -> Repository:
        made = self.repositories[kind, repo] = Repository(kind)
        made.commit(files)
        return made

    def refusal(self, step: str, request: Request, writing: bool = True) -> Response | None:
        """Count a request; refuse it where a test says so, or where its token is not ours."""
        self.requests[step] += 1
        if self.refuse.get(step):
            return JSONResponse({"error": f"told to, at {step}"}, self.refuse[step].pop(0))
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if (writing or token) and token != TOKEN:
            message = "Invalid credentials in Authorization header"
            return JSONResponse({"error": message}, 401, {"X-Error-Message": message})
        return None


def make_app(hub: Hub) -> FastAPI:
    app = FastAPI()

    @app.post("/api/repos/create")
    async def create(request: Request) -> Response:
        body = await request.json()
        if refused := hub.refusal("create", request):
            return refused
        owner, kind = body["organization"] or USER, body.get("type") or "model"
        if owner != USER:
            return JSONResponse({"error": "You don't have the rights"}, 403)
        hardware = body.get("hardware", "")
        if hub.free_account and kind == "space" and hardware in ("", "cpu-basic"):
            return JSONResponse({"error": "Payment required"}, 402)
        key = (kind, f"{owner}/{body['name']}")
        if key in hub.repositories:
            return JSONResponse({"error": "You already created this repo"}, 409)
        made = hub.add(key[1], {".gitattributes": b""}, kind)
        made.private, made.hardware = body.get("visibility") == "private", hardware
        return JSONResponse({"url": f"{hub.endpoint}/{key[1]}", "name": key[1]})

    @app.delete("/api/repos/delete")
    async def delete(request: Request) -> Response:
        body = await request.json()
        if refused := hub.refusal("delete", request):
            return refused
        kind = body.get("type") or "model"
        del hub.repositories[kind, f"{body['organization']}/{body['name']}"]
        return JSONResponse({})

    @app.post("/api/validate-yaml")
    async def validate() -> Response:
        return JSONResponse({"errors": [], "warnings": []})

    @app.put("/objects/{oid}")
    async def put(oid: str, request: Request) -> Response:
        content = await request.body()
        assert hashlib.sha256(content).hexdigest() == oid
        hub.objects[oid] = content
        return Response()

    for kind in ("model", "space", "dataset"):
        _add_repository(app, hub, kind)
    return app


def _add_repository(app: FastAPI, hub: Hub, kind: str) -> None:
    api, plain = f"/api/{kind}s/{{user}}/{{name}}", f"/{kind}s" if kind != "model" else ""

    def find(user: str, name: str, request: Request) -> Repository | None:
        found = hub.repositories.get((kind, f"{user}/{name}"))
        signed_in = request.headers.get("authorization") == f"Bearer {TOKEN}"
        return None if found and found.private and not signed_in else found

    def missing() -> Response:
        return JSONResponse({"error": "Not found"}, 404, {"X-Error-Code": "RepoNotFound"})

    @app.post(f"{api}/preupload/main")
    async def preupload(user: str, name: str, request: Request) -> Response:
        if refused := hub.refusal("preupload", request):
            return refused
        files = (await request.json())["files"]
        large = (".safetensors", ".png")
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(large) else "regular",
                "shouldIgnore": False,
            }
            for file in files
        ]
        return JSONResponse({"files": modes})

    @app.post(f"{plain}/{{user}}/{{name}}.git/info/lfs/objects/batch")
    async def batch(user: str, name: str, request: Request) -> Response:
        objects = (await request.json())["objects"]
        for one in objects:
            one["actions"] = {"upload": {"href": f"{hub.endpoint}/objects/{one['oid']}"}}
        return JSONResponse({"transfer": "basic", "objects": objects})

    @app.post(f"{api}/commit/main")
    async def commit(user: str, name: str, request: Request) -> Response:
        if refused := hub.refusal("commit", request):
            return refused
        repository = find(user, name, request)
        if repository is None:
            return missing()
        files = dict(repository.files() or {})
        for line in (await request.body()).splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = hub.objects[value["oid"]]
            elif entry["key"] == "deletedFile":
                del files[value["path"]]
        sha = repository.commit(files)
        address = f"{hub.endpoint}/{user}/{name}/commit/{sha}"
        return JSONResponse({"success": True, "commitOid": sha, "commitUrl": address})

    @app.get(f"{api}/revision/{{revision}}")
    @app.get(api)
    async def info(user: str, name: str, request: Request, revision: str = "main") -> Response:
        if refused := hub.refusal("info", request, writing=False):
            return refused
        repository = find(user, name, request)
        if repository is None:
            return missing()
        files = repository.files(revision)
        if files is None:
            return JSONResponse({"error": "?"}, 404, {"X-Error-Code": "RevisionNotFound"})
        parts = files.get("README.md", b"").decode().split("---\n")
        card = yaml.safe_load(parts[1]) or {} if len(parts) > 2 else {}
        described: dict[str, Any] = {
            "id": f"{user}/{name}",
            "sha": repository.head if revision == "main" else revision,
            "private": repository.private,
            "tags": ["gradio"] if kind == "space" else card.get("tags", []),
            "cardData": card,
            "siblings": [{"rfilename": path} for path in files],
        }
        if repository.hardware:
            described["runtime"] = {"stage": "RUNNING", "hardware": {"current": None}}
            described["runtime"]["hardware"]["requested"] = repository.hardware
        return JSONResponse(described)

    @app.get(f"{api}/tree/{{revision}}")
    async def tree(user: str, name: str, revision: str, request: Request) -> Response:
        if refused := hub.refusal("tree", request, writing=False):
            return refused
        repository = find(user, name, request)
        if repository is None:
            return missing()
        return JSONResponse(
            [
                {"type": "file", "path": path, "size": len(content), "oid": _etag(content)}
                for path, content in (repository.files(revision) or {}).items()
            ]
        )

    @app.api_route(
        f"{plain}/{{user}}/{{name}}/resolve/{{revision}}/{{path:path}}", methods=["HEAD", "GET"]
    )
    async def resolve(user: str, name: str, revision: str, path: str, request: Request) -> Response:
        if refused := hub.refusal(f"resolve {request.method}", request, writing=False):
            return refused
        repository = find(user, name, request)
        if repository is None:
            return missing()
        content = (repository.files(revision) or {}).get(path)
        if content is None:
            return JSONResponse({"error": "?"}, 404, {"X-Error-Code": "EntryNotFound"})
        if request.method == "GET":
            hub.downloaded.append(path)
        headers = {"ETag": f'"{_etag(content)}"', "X-Repo-Commit": revision}
        return Response(content, headers=headers, media_type="application/octet-stream")


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


class Server:
    """Serves a stand-in on a free port of this machine until it is stopped."""

    def __init__(self) -> None:
        self.hub = Hub()
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.hub.endpoint = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        config = uvicorn.Config(make_app(self.hub), log_level="error")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True
        )
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.socket.close()


def picture(number: int = 0, form: str = "PNG") -> bytes:
    """The file of a drawn photograph."""
    buffer = io.BytesIO()
    drawn_photograph(number % 3 / 3, number).save(buffer, form)
    return buffer.getvalue()


def parquet(
    columns: dict[str, list[Any]], features: dict[str, Any] | None = None, **options: Any
) -> bytes:
    """A Parquet file as `datasets` writes them: pictures are bytes and a path."""
    pa = pytest.importorskip("pyarrow")
    table = pa.table(columns)
    if features is not None:
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
    buffer = io.BytesIO()
    pytest.importorskip("pyarrow.parquet").write_table(table, buffer, **options)
    return buffer.getvalue()


def cells(contents: Sequence[bytes | None]) -> list[dict[str, Any]]:
    """Pictures as `datasets` keeps them in a column."""
    return [{"bytes": content, "path": "../../evil.png"} for content in contents]


IMAGE = {"_type": "Image"}


def class_label(*names: str) -> dict[str, Any]:
    return {"_type": "ClassLabel", "names": list(names)}


def flowers(count: int = 4, **more: list[Any]) -> bytes:
    """A Parquet file of roses and tulips by turns."""
    features = {"image": IMAGE, "label": class_label("rose", "tulip")}
    contents = [picture(number) for number in range(count)]
    labels = [number % 2 for number in range(count)]
    return parquet({"image": cells(contents), "label": labels, **more}, features)
