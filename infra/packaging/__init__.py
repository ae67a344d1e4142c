"""Packages of functions: each holds only what its function needs. Built without Docker."""

from pathlib import Path
from typing import TYPE_CHECKING

from infra.packaging.recipe import build
from infra.packaging.sources import FOLDER

if TYPE_CHECKING:
    from aws_cdk.aws_lambda import Code

NO_IMAGE = "none"
"""CDK requires an image, which is never pulled."""


def code(name: str) -> "Code":
    """Return a function's package as an asset of the stack, named by the hash of its bytes."""
    # Imported late, because `make package` needs no CDK.
    import jsii  # noqa: PLC0415
    from aws_cdk import (  # noqa: PLC0415
        AssetHashType,
        BundlingOptions,
        BundlingOutput,
        DockerImage,
        ILocalBundling,
    )
    from aws_cdk.aws_lambda import Code  # noqa: PLC0415

    @jsii.implements(ILocalBundling)
    class Local:
        def try_bundle(self, output_dir: str, *_: object, **__: object) -> bool:
            build(name, Path(output_dir) / f"{name}.zip")
            return True

    bundling = BundlingOptions(
        image=DockerImage.from_registry(NO_IMAGE),
        local=Local(),
        output_type=BundlingOutput.ARCHIVED,
    )
    return Code.from_asset(
        str(FOLDER / name), asset_hash_type=AssetHashType.OUTPUT, bundling=bundling
    )
