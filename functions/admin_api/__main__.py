"""Writes the OpenAPI document: `python -m functions.admin_api > docs/openapi.json`."""

import sys

from functions.admin_api.document import as_text, document
from functions.admin_api.handler import app

sys.stdout.write(as_text(document(app)))
