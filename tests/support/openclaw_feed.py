"""Every version that OpenClaw had released when this list was made, in no order."""

from pathlib import Path

VERSIONS = Path(__file__).with_name("openclaw_versions.txt").read_text().split()
