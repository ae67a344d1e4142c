"""The CDK app. The CDK CLI runs it as a program; tests call `build`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aws_cdk import App, Tags, Validations
from cdk_nag import AwsSolutionsChecks

from infra.settings import read_stage
from infra.stack import KiloClaw

UNTAGGED = ["AWS::RDS::DBProxyTargetGroup"]
CONTEXT: dict[str, Any] = json.loads(Path("cdk.json").read_text())["context"]


def build(context: Mapping[str, Any] = CONTEXT, folder: Path | None = None) -> App:
    """Build the app for one stage: the one in the context, or of `cdk -c stage=…`."""
    app = App(
        context=dict(context),
        analytics_reporting=False,
        outdir=None if folder is None else str(folder),
    )
    node = app.node
    stage = read_stage(
        node.try_get_context("stage"),
        node.get_context("stages"),
        node.try_get_context("release"),
    )
    KiloClaw(app, stage)
    for key, value in {"system": "kiloclaw", "stage": stage.name}.items():
        Tags.of(app).add(key, value, exclude_resource_types=UNTAGGED)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    return app


if __name__ == "__main__":
    build().synth()
