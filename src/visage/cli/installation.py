"""Commands on the installation: model files, settings, what is wrong."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text

from visage.admin.access import Guesses
from visage.admin.database import open_database
from visage.admin.keys import AccessStore
from visage.admin.sqlite import FILE_NAME as ADMIN_FILE
from visage.api import PREFIX
from visage.api.app import create_app
from visage.api.wire.security import keys_required, listed
from visage.bank.bank import MemoryBank
from visage.cli import benchmark
from visage.cli.client import DataDir, ask_passphrase, read_settings, trusting
from visage.cli.console import cell, err, out, say
from visage.cli.models import chosen
from visage.errors import InstallationError, VisageError
from visage.recognition import calibration
from visage.service.opening import key_source, open_recognizer
from visage.settings import Settings
from visage.storage.folder import FILE_NAME, OLD_NAME, lock
from visage.storage.keys import KEY_FILE_NAME
from visage.storage.sqlite import open_store
from visage.vision import models, weights
from visage.vision.image import Limits


def settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="As the table in docs/configuration.md.")] = False,
) -> None:
    """List every setting with its value, default and meaning."""
    if markdown:
        print(settings_table())  # noqa: T201 - verbatim, for a file
        return
    current = read_settings()
    table = Table(Column("Variable", no_wrap=True), "Value", "Default", "Meaning")
    for name, default, meaning in described_settings():
        value = getattr(current, name.removeprefix("VISAGE_").lower())
        table.add_row(name, cell("" if value is None else str(value)), default, meaning)
    out.print(table)


def openapi() -> None:
    """Print the OpenAPI document, as the server has it at /openapi.json."""
    print(json.dumps(create_app(read_settings()).openapi(), indent=2))  # noqa: T201 - verbatim, for a file


def reembed(data_dir: DataDir = None) -> None:
    """Embed every photo that another model embedded, from the stored pictures. Stop the server first."""
    current = ask_passphrase(read_settings(data_dir=data_dir))
    recognizer = open_recognizer(
        data_dir=current.data_dir,
        key=key_source(current),
        threads=current.inference_threads,
        limits=Limits(),
        similarity_threshold=None,
        target_fpir=current.target_fpir,
        duplicate_policy="warn",
        model=current.model,
        detector=current.detector,
    )
    try:
        with Progress(console=err) as progress:
            task = progress.add_task("Embedding", total=None)
            count = recognizer.reembed(lambda done, total: progress.update(task, completed=done, total=total))
    finally:
        recognizer.close()
    say(f"{count} photo(s) embedded with {recognizer.model}.")


def doctor(
    data_dir: DataDir = None,
    port: int | None = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="First take back what others may do with the files of this installation.")
    ] = False,
    timing: Annotated[
        bool, typer.Option("--benchmark", help="Then time what this machine does, and say what to set.")
    ] = False,
) -> None:
    """Tell what is wrong with this installation, and how to mend it."""
    current = ask_passphrase(read_settings(data_dir=data_dir, port=port))
    if fix:
        for path in open_to_others(current):
            path.chmod(stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXU)
    healthy = True
    for subject, check in CHECKS.items():
        try:
            mark, text = "ok", check(current)
        except VisageError as error:
            mark, text, healthy = "WRONG", error.message, False
        out.print(Text(f"{mark:6}"), Text(subject), Text("—"), Text(text))
    if healthy and timing:
        benchmark.run()
    raise typer.Exit(0 if healthy else 1)


def check_packages(_: Settings) -> str:
    """Is everything importable that the server imports?"""
    needed = (
        "alembic",
        "cryptography",
        "cv2",
        "fastapi",
        "numpy",
        "openvino",
        "PIL",
        "simplejpeg",
        "sqlalchemy",
        "uvicorn",
    )
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise InstallationError(f"missing: {', '.join(missing)}; run `make serve` again")
    return "all there"


def check_models(current: Settings) -> str:
    """Are the models that the settings name known, there, right and calibrated?"""
    weights.verify(item for model in chosen(current) for item in model.files)
    calibration.load(models.embedder(current.model).space, current.data_dir)
    return f"{current.model}, faces found by {current.detector}"


def check_data_dir(current: Settings) -> str:
    """Can the bank be written?"""
    folder = current.data_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise InstallationError(f"{folder.name} is a file; set VISAGE_DATA_DIR to a folder")
    if not os.access(folder, os.W_OK):
        raise InstallationError("cannot be written; check its rights")
    free_mb = shutil.disk_usage(folder).free // 2**20
    if free_mb < 200:
        raise InstallationError(f"only {free_mb} MB are free on its disk")
    return f"writable, {free_mb:,} MB free"


def check_rights(current: Settings) -> str:
    """May others on this computer read or change the files?"""
    if found := open_to_others(current):
        names = ", ".join(path.name for path in found[:5]) + (" and more" if len(found) > 5 else "")
        raise InstallationError(f"others on this computer may use {names}; `visage doctor --fix` ends that")
    return "for you only"


def open_to_others(current: Settings) -> list[Path]:
    """What others than the owner have any right to: the key file, and the data directory with what can be reached
    through it. Links are not followed."""
    folder, key = current.data_dir, key_source(current).key_file(current.data_dir).path
    found = [path for path in (folder, key) if _is_open(path)]
    if folder in found:
        found += [
            path for path in (*folder.glob("*"), *folder.glob("compiled/**/*")) if path != key and _is_open(path)
        ]
    return found


def _is_open(path: Path) -> bool:
    return path.exists() and not path.is_symlink() and bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def check_proxy(current: Settings) -> str:
    """Does the proxy say itself whom it speaks for? One that hands on what its clients say of themselves fills the
    audit log with addresses that nobody has, and wrong keys count against nobody."""
    names = listed(current.allowed_hosts)
    if not names:
        return "none; nothing that came through one is answered without a key"
    told = []
    for name in names:
        believed = believes_clients(name)
        if believed:
            raise InstallationError(
                f"the proxy at {name} hands on the X-Forwarded-For of its clients; let it set the address itself "
                "(nginx: proxy_set_header X-Forwarded-For $remote_addr)"
            )
        told.append(f"{name} {'cannot be asked from here' if believed is None else 'says itself who asks'}")
    return "; ".join(told)


def believes_clients(name: str) -> bool | None:
    """Are wrong keys counted by an address that the client makes up? None where nobody answers."""
    for scheme in ("https", "http"):
        try:
            with httpx.Client(base_url=f"{scheme}://{name}", timeout=2, verify=False) as client:  # noqa: S501 - a wrong key is all that it gets
                codes = [
                    client.get(
                        f"{PREFIX}/persons", headers={"X-API-Key": "doctor", "X-Forwarded-For": f"203.0.113.{number}"}
                    ).status_code
                    for number in range(1, Guesses.allowed + 2)
                ]
        except (httpx.HTTPError, httpx.InvalidURL):
            continue
        if set(codes) <= {401, 429}:
            return 429 not in codes
    return None


def check_bank(current: Settings) -> str:
    """Is the bank whole, and made by this model?"""
    if not (current.data_dir / FILE_NAME).exists() and not (current.data_dir / KEY_FILE_NAME).exists():
        return "none yet; the first start makes it"
    if running := visage_at(current):
        return f"in use by the Visage {running}"
    model = models.embedder(current.model)
    bank = MemoryBank(open_store(current.data_dir, key_source(current)), model=model.space, dimension=model.dimension)
    try:
        if faults := bank.check():
            raise InstallationError("; ".join(faults))
        if (current.data_dir / OLD_NAME).exists():
            raise InstallationError(f"{OLD_NAME}, the bank as it was, is still there; start once more to remove it")
        if bank.foreign_photos:
            raise InstallationError(f"{bank.foreign_photos} photos are of another model; run `visage reembed`")
        return f"whole: {bank.person_count} persons, {bank.embedding_count} embeddings"
    finally:
        bank.close()


def check_keys(current: Settings) -> str:
    """Can the database of the installation be read, and is there a key where one is needed?"""
    if not (current.data_dir / ADMIN_FILE).exists():
        return "none yet"
    if visage_at(current):
        return "in use by the Visage that is running"
    with closing(lock(current.data_dir)), closing(open_database(current.data_dir)) as database:
        good = [key for _, key in AccessStore(database.transaction).all_keys() if key.revoked_at is None]
    if not good and keys_required(current):
        raise InstallationError("others are to reach this server; run `visage keys create --role admin` first")
    return f"{len(good)} good"


def check_port(current: Settings) -> str:
    """Is the port free?"""
    if running := visage_at(current):
        return f"{current.host}:{current.port} is the Visage {running}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((current.host, current.port))
        except OSError as exc:
            text = f"{current.host}:{current.port} is taken; stop what uses it, or set VISAGE_PORT"
            raise InstallationError(text) from exc
    return f"{current.host}:{current.port} is free"


def visage_at(current: Settings) -> str | None:
    """What the Visage that is running where the settings say tells of itself; None where there is none."""
    scheme, host = ("https", "localhost") if current.https else ("http", current.host)
    verify = trusting(current.data_dir) if current.https else True
    try:
        data = httpx.get(f"{scheme}://{host}:{current.port}{PREFIX}/health", timeout=2, verify=verify).json()["data"]
        if data == {"status": "ok"}:
            return "that is running; it tells no more without a key"
        return f"{data['version']} that is running: {int(data['persons'])} persons"
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError, KeyError):
        return None


CHECKS: dict[str, Callable[[Settings], str]] = {
    "packages": check_packages,
    "models": check_models,
    "data directory": check_data_dir,
    "rights": check_rights,
    "bank": check_bank,
    "API keys": check_keys,
    "port": check_port,
    "proxy": check_proxy,
}


def described_settings() -> Iterator[tuple[str, str, str]]:
    """Variable, default and meaning of each setting."""
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        yield f"VISAGE_{name.upper()}", default, field.description or ""


def settings_table() -> str:
    """All settings as a Markdown table."""
    rows = [
        f"| `{name}` | {f'`{default}`' if default else ''} | {text} |" for name, default, text in described_settings()
    ]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows])
