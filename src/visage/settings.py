"""Every setting, once: name, unit, default, help. Only `api/app.py` and `cli.py` read them.

Values come from `VISAGE_*` environment variables, then from `.env` in the working directory, then the default.
`docs/configuration.md` and `visage settings` are made from this class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The configuration of one server."""

    model_config = SettingsConfigDict(
        env_prefix="VISAGE_", env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True
    )

    host: str = Field(
        "127.0.0.1", description="Address to serve on. The default is reachable from this computer only."
    )
    https: bool = Field(
        False,
        description="Serve HTTPS with a certificate made here, as `visage serve --https` does. Unless `VISAGE_HOST` "
        "says otherwise, on all addresses.",
    )
    require_key: bool = Field(
        False,
        description="Ask for an API key on this computer too. Where others can reach the server, it always does.",
    )
    allowed_hosts: str = Field(
        "",
        description="Further names that the server answers to, separated by commas: those by which a proxy or a "
        "router leads here. With any, a key is asked for.",
    )
    allowed_origins: str = Field(
        "",
        description="Pages of other servers that may use the API, separated by commas, such as "
        "`https://panel.home:8123`.",
    )
    port: int = Field(8000, ge=0, le=65535, description="TCP port to serve on.")
    data_dir: Path = Field(Path("data"), description="Folder of the bank (`visage.db`) and the compiled models.")
    key_file: Path | None = Field(
        None, description="File of the master key, in base64; unset, it is `master.key` in the data folder."
    )
    passphrase: SecretStr | None = Field(
        None,
        description="Passphrase that opens the bank, where `visage key passphrase` has set one or the bank is new.",
    )
    master_key: SecretStr | None = Field(
        None, description="The master key itself, 32 bytes in base64; it comes before the passphrase and the file."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="How much the server writes to its log. Names of persons never appear in it."
    )
    max_image_bytes: int = Field(
        10 * 1024 * 1024, ge=1024, description="Largest image accepted, bytes; larger ones get 413."
    )
    max_image_pixels: int = Field(
        50_000_000, ge=4096, description="Largest image accepted, pixels, refused before it is decoded."
    )
    similarity_threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Name a face from this cosine on, whatever the size of the bank; 0.6 is a sound value "
        "for the default model. Unset, the threshold follows the target false-name rate and the number of persons.",
    )
    target_fpir: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="How many of the strangers seen may be given a name, as a fraction of them (FPIR).",
    )
    duplicate_policy: Literal["warn", "reject"] = Field(
        "warn",
        description="A known face registered under another name: register with a warning, or answer 409.",
    )
    max_faces: int = Field(
        100,
        ge=1,
        le=1000,
        description="Faces of one picture or frame that are looked at, the largest; `faces_passed_over` in the reply "
        "counts the others.",
    )
    max_work_s: float = Field(
        30,
        gt=0,
        le=3600,
        description="Seconds that the models may work at one picture or frame; beyond, it gets 413.",
    )
    model: str = Field(
        "mobilefacenet",
        description="Network that tells people apart, by name; `visage models list` shows them. After a change, "
        "`visage reembed` brings the bank to it.",
    )
    detector: str = Field(
        "blazeface", description="Network that finds faces, by name; `visage models list` shows them."
    )
    inference_threads: int = Field(
        0,
        ge=0,
        le=256,
        description="CPU threads a model run may use; 0 lets the engine take the cores there are.",
    )
    max_pending: int = Field(
        32, ge=1, description="Requests that may wait for the models at once; further ones get 429."
    )
    max_connections: int = Field(64, ge=1, description="WebSocket connections open at once.")
    max_connections_per_address: int = Field(
        250,
        ge=1,
        description="Connections of all kinds that one address may have at once (of IPv6, one network of 64 bits); "
        "further ones get 429. Where `VISAGE_ALLOWED_HOSTS` is set, a proxy on this computer may have any number; "
        "raise this for a proxy on another.",
    )
    retention_days: int | None = Field(
        None,
        ge=1,
        le=36500,
        description="Forget who was not seen for so many days; unset, never. `visage purge` lists who would go.",
    )
    remember_last_seen: bool = Field(
        False, description="Keep in the bank when each person was seen last, within an hour; retention does so too."
    )
    require_consent: bool = Field(
        False, description="Register nobody without a consent record: by whom, in what capacity, when."
    )
