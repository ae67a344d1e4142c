"""Reads templates: resources by type, references as text, names without hashes."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HASH = re.compile(r"(?<=[A-Za-z0-9])[0-9A-F]{8}$")
VERSION_HASH = re.compile(r"(CurrentVersion)[0-9A-F]{8}[0-9a-f]{32}")
ASSET_HASH = re.compile(r"\b[0-9a-f]{64}\b")
CONTEXT = json.loads(Path("cdk.json").read_text())["context"]


@dataclass(frozen=True)
class Template:
    """The template of a stage, and the folder that it was written to."""

    stage: str
    folder: Path
    content: dict[str, Any]

    @property
    def file(self) -> Path:
        return self.folder / f"kiloclaw-{self.stage}.template.json"

    @property
    def resources(self) -> dict[str, Any]:
        found: dict[str, Any] = self.content["Resources"]
        return found

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Properties by name: `of("AWS::DynamoDB::Table")`."""
        return {
            name_of(logical_id): resource.get("Properties", {})
            for logical_id, resource in self.resources.items()
            if resource["Type"] == kind
        }

    def logical_id(self, name: str) -> str:
        """The id in the template of a resource by its name."""
        [found] = [logical_id for logical_id in self.resources if name_of(logical_id) == name]
        return found

    def only(self, kind: str) -> dict[str, Any]:
        """The properties of the one resource of a type."""
        [properties] = self.of(kind).values()
        return properties

    def functions(self) -> dict[str, dict[str, Any]]:
        """The properties of the product's functions by name."""
        return {
            properties["FunctionName"].removeprefix(f"kiloclaw-{self.stage}-"): properties
            for properties in self.of("AWS::Lambda::Function").values()
            if properties["Handler"].startswith("functions.")
        }


def synthesise(folder: Path, **changes: Any) -> Template:
    """The template for `cdk.json` with changes; raises where cdk-nag finds something."""
    from infra.app import build  # noqa: PLC0415  aws_cdk takes seconds to import

    stage = changes["stage"]
    build({**CONTEXT, "aws:cdk:bundling-stacks": [], **changes}, folder).synth()
    file = folder / f"kiloclaw-{stage}.template.json"
    return Template(stage, folder, json.loads(file.read_text()))


def changed(stage: str, **settings: Any) -> dict[str, Any]:
    """The context with other settings of one stage."""
    stages = deepcopy(CONTEXT["stages"])
    stages[stage] |= settings
    return {"stage": stage, "stages": stages}


def name_of(logical_id: str) -> str:
    return HASH.sub("", logical_id)


def text(value: Any) -> str:
    """A value with references as `${Name.Attribute}`."""
    match value:
        case str() | int():
            return str(value)
        case {"Ref": target}:
            return f"${{{name_of(target)}}}"
        case {"Fn::GetAtt": [target, attribute]}:
            return f"${{{name_of(target)}.{attribute}}}"
        case {"Fn::Join": [by, parts]}:
            return str(by).join(map(text, parts))
        case {"Fn::Select": [index, {"Fn::Split": [by, whole]}]}:
            return f"{text(whole)}[{by}{index}]"
    raise ValueError(f"cannot read {value}")


def texts(value: Any) -> list[str]:
    return [text(part) for part in value] if isinstance(value, list) else [text(value)]


def statements(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from document["Statement"]


def review_form(template: dict[str, Any]) -> str:
    """Format a template for review: sorted, and without hashes that change at each release."""
    document = json.dumps(template, indent=1, sort_keys=True)
    document = VERSION_HASH.sub(r"\1", document)
    return ASSET_HASH.sub("<asset>", document) + "\n"
