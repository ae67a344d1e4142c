"""The settings of a stage, read from the context of `cdk.json` and validated."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from infra.functions import FUNCTIONS

LogDays = Literal[7, 14, 30, 60, 90, 180, 365]
Zone = Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-\d[a-z]$")]
Memory = Annotated[int, Field(ge=128, le=3008)]
"""In MiB. It buys processor time too: one whole core at 1,769."""
RoleArn = Annotated[
    str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:(role|user)/[\w+=,.@/-]{1,128}$")
]
StreamArn = Annotated[
    str, Field(pattern=r"^arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table/[^/]+/stream/[^/]+$")
]
RoleName = Annotated[str, Field(pattern=r"^[\w+=,.@-]{1,64}$")]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DatabaseSize(_Settings):
    """The disk has `storage_gib` at first and grows by itself up to `max_storage_gib`."""

    instance: str = Field(pattern=r"^[a-z0-9]+\.[a-z0-9]+$")
    storage_gib: int = Field(ge=20, le=16_384)
    max_storage_gib: int = Field(ge=20, le=16_384)
    multi_az: bool
    backup_days: int = Field(ge=1, le=35)

    @model_validator(mode="after")
    def _grows(self) -> "DatabaseSize":
        if self.max_storage_gib < self.storage_gib:
            raise ValueError("max_storage_gib must not be below storage_gib")
        return self


class Throttling(_Settings):
    """Limits for all callers of the API together, in requests a second."""

    rate: int = Field(ge=1, le=10_000)
    burst: int = Field(ge=1, le=5_000)


class PipelineRights(_Settings):
    """A build pipeline that writes the KV itself. `principal` may assume its role."""

    principal: RoleArn
    may_move_pointers: bool = False


class Stage(_Settings):
    """One deployment of the system. docs/deploy.md explains every setting.

    `release` is not in `cdk.json`: it names one deployment, so that each of them migrates.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{1,19}$")
    release: str = "none"
    protected: bool
    availability_zones: tuple[Zone, Zone]
    network: str = Field(pattern=r"^10\.\d{1,3}\.\d{1,3}\.0/2[0-2]$")
    database: DatabaseSize
    memory_mib: dict[str, Memory] = {}
    throttling: Throttling
    log_days: LogDays
    sync_max_new: int = Field(ge=0)
    publisher_may_promote: bool
    require_mfa: bool
    provisioned_concurrency: int = Field(default=0, ge=0, le=500)
    caller_role: RoleArn | RoleName | None = None
    pipeline: PipelineRights | None = None
    callback_urls: tuple[str, ...] = ()
    console_origin: str | None = Field(
        default=None, pattern=r"^https://[a-z0-9.-]+(:\d{1,5})?$"
    )
    restored_database: str | None = Field(default=None, pattern=r"^db-[A-Z0-9]{10,64}$")
    table_name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]{3,255}$")
    table_stream_arn: StreamArn | None = None

    @property
    def metrics_namespace(self) -> str:
        """Where functions write their own metrics: apart from those of other stages."""
        return f"KiloClaw/{self.name}"

    @model_validator(mode="after")
    def _names_the_stream_of_a_restored_table(self) -> "Stage":
        if (self.table_name is None) != (self.table_stream_arn is None):
            raise ValueError("table_name and table_stream_arn go together")
        return self

    @field_validator("memory_mib")
    @classmethod
    def _functions_exist(cls, memory: dict[str, int]) -> dict[str, int]:
        if unknown := memory.keys() - FUNCTIONS.keys():
            raise ValueError(f"no such function: {', '.join(sorted(unknown))}")
        return memory


def read_stage(name: object, stages: Mapping[str, Any], release: object = None) -> Stage:
    """Read the settings of the named stage. Raises ValueError with what is wrong."""
    if not isinstance(name, str) or name not in stages:
        raise ValueError(f"choose a stage: -c stage={'|'.join(stages)}")
    given = {**stages[name], "name": name} | ({"release": release} if release else {})
    return Stage.model_validate_json(json.dumps(given))
