"""Forms with files (multipart/form-data, RFC 7578)."""

from base64 import b64encode
from io import BytesIO

from python_multipart import parse_form
from python_multipart.multipart import Field, File

KIND = "multipart/form-data"


def is_upload(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == KIND


def parse_upload(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """Return the fields in order; a file's content is its field's value, in base64.

    Raises ValueError.
    """
    pairs: list[tuple[str, str]] = []

    def add_field(field: Field) -> None:
        pairs.append(_pair(field.field_name, field.value or b""))

    def add_file(file: File) -> None:
        file.file_object.seek(0)
        pairs.append(_pair(file.field_name, b64encode(file.file_object.read())))
        file.close()

    headers = {"Content-Type": content_type.encode("latin-1", errors="replace")}
    parse_form(headers, BytesIO(body), add_field, add_file)
    return pairs


def _pair(name: bytes | None, value: bytes) -> tuple[str, str]:
    return (name or b"").decode(), value.decode()
