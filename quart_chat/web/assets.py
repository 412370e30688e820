"""Style sheet and script: the files named in order.txt joined in memory at start, addressed by their content.

No build step: what is in static/ is what is served; two requests instead of thirty.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from pathlib import Path

from msgspec import Struct

VENDOR = ("vendor/htmx.min.js", "vendor/hx-ws.min.js")


class Asset(Struct, frozen=True):
    name: str
    content_type: str
    body: bytes
    packed: bytes
    tag: str


class Assets:
    def __init__(self, base_path: str = "") -> None:
        static = find_folder("static")
        self._base_path = base_path
        self._icons = {file.name: file for file in (static / "icons").iterdir()}
        styles = [f"css/{name}.css" for name in _order(static / "css")]
        scripts = [*VENDOR, *(f"js/{name}.js" for name in _order(static / "js"))]
        self._assets = {
            asset.name: asset
            for asset in (
                _join(static, "app.css", "text/css; charset=utf-8", styles),
                _join(static, "app.js", "text/javascript; charset=utf-8", scripts),
            )
        }

    def url(self, name: str) -> str:
        return f"{self._base_path}/assets/{self._assets[name].tag}/{name}"

    def get(self, name: str) -> Asset | None:
        return self._assets.get(name)

    def icon(self, name: str) -> tuple[bytes, str] | None:
        """Its bytes and content type. They are small, and asked for once a day."""
        file = self._icons.get(name)
        if file is None:
            return None
        return file.read_bytes(), mimetypes.guess_type(name)[0] or "application/octet-stream"


def find_folder(name: str) -> Path:
    """templates/ or static/: inside the installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name


def _order(folder: Path) -> list[str]:
    lines = (folder / "order.txt").read_text("utf-8").splitlines()
    return [line.strip().removesuffix(".css").removesuffix(".js") for line in lines if line.strip()]


def _join(static: Path, name: str, content_type: str, files: list[str]) -> Asset:
    body = b"\n".join((static / file).read_bytes() for file in files)
    tag = hashlib.sha256(body).hexdigest()[:12]
    return Asset(name, content_type, body, gzip.compress(body, 6, mtime=0), tag)
