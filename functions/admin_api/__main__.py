"""Writes the OpenAPI document: `python -m functions.admin_api > docs/openapi.json`."""

import sys

from functions.admin_api import openapi
from functions.admin_api.table import ENDPOINTS

sys.stdout.write(openapi.as_text(openapi.document(ENDPOINTS)))
