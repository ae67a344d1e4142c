"""The fleet that the demo shows: versions, pins and users."""

from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5


class Version(NamedTuple):
    """Published `days` ago; its OpenClaw version is in its tag."""

    tag: str
    days: float
    notes: str
    variant: str = "default"


class Status(NamedTuple):
    """What an administrator says of a version."""

    tag: str
    status: str
    notes: str


class User(NamedTuple):
    """Somebody with an instance."""

    user_id: str
    variant: str = "default"


class Pin(NamedTuple):
    """A user's pin; with `expires` it does so as soon as it may."""

    user_id: str
    tag: str
    reason: str
    expires: bool = False


class Latest(NamedTuple):
    """These became latest, and then these users' instances started."""

    tags: tuple[str, ...]
    users: tuple[User, ...]


class Entry(NamedTuple):
    """An image entry that a pipeline wrote straight into the KV."""

    tag: str
    days: float
    digest_of: str
    variant: str = "default"


VERSIONS = (
    Version("2026.7.14-r1", 96, "First image with the new scheduler"),
    Version("2026.8.2-r1", 77, "Smaller base image"),
    Version("2026.8.19-r1", 60, "Session store moved to SQLite"),
    Version("2026.8.19-r2", 58, "Same OpenClaw, patched OpenSSL"),
    Version("2026.9.5-r1", 43, "Browser tool in its own sandbox"),
    Version("2026.9.20-r1", 28, "Faster cold start"),
    Version("2026.9.28-r1", 20, "Calendar and mail plugins updated"),
    Version("2026.10.3-r1", 15, "Memory search is twice as fast"),
    Version("2026.10.9-r1", 9, "Release candidate, in canary"),
    Version("2026.8.21-gpu-r1", 57, "CUDA 12.6", "gpu"),
    Version("2026.9.22-gpu-r1", 26, "CUDA 12.8, local speech models", "gpu"),
    Version("2026.10.3-gpu-r1", 14, "As 2026.10.3, with CUDA 12.8", "gpu"),
    Version("2026.10.9-gpu-r1", 8, "Release candidate, in canary", "gpu"),
)

STATUSES = (
    Status("2026.7.14-r1", "deprecated", "Superseded; leaks file handles over weeks"),
    Status("2026.8.2-r1", "deprecated", "Superseded by 2026.8.19"),
    Status("2026.8.19-r1", "disabled", "Vulnerable OpenSSL: use 2026.8.19-r2"),
    Status("2026.9.5-r1", "disabled", "The sandbox can be left: do not run"),
    Status("2026.8.21-gpu-r1", "deprecated", "Old CUDA; drivers drop it next year"),
)

PINS = (
    Pin(
        "sofia@example.com", "2026.9.20-r1", "Wait for the fix of the mail plugin", expires=True
    ),
    Pin("acme|1007", "2026.8.2-r1", "Audit week: nothing may change", expires=True),
    Pin("maria.lopez@example.com", "2026.8.19-r2", "Extension needs the old session API"),
    Pin("acme|1001", "2026.9.20-r1", "Customer asked for a frozen version"),
    Pin("acme|1002", "2026.9.20-r1", "Customer asked for a frozen version"),
    Pin("globex|42", "2026.7.14-r1", "Self-built plugin, port is under way"),
    Pin("kenji@example.com", "2026.10.9-r1", "Canary"),
    Pin("li.wei@example.com", "2026.10.9-r1", "Canary"),
    Pin("initech|render-1", "2026.9.22-gpu-r1", "Driver 570 on this host"),
    Pin("initech|render-2", "2026.10.9-gpu-r1", "Canary"),
    Pin("omar@example.com", "2026.9.5-r1", "Tries the browser sandbox"),
    Pin("globex|77", "2026.8.19-r1", "Load test in progress"),
)

PINNED_USERS = tuple(
    User(pin.user_id, "gpu" if "gpu" in pin.tag else "default") for pin in PINS
)

LATEST = (
    Latest(
        ("2026.9.28-r1", "2026.9.22-gpu-r1"),
        (
            *(User(f"acme|{number}") for number in range(1010, 1018)),
            *(User(f"initech|worker-{number}", "gpu") for number in range(1, 4)),
            User("nina@example.com"),
            User("paul+test@example.com"),
        ),
    ),
    Latest(
        ("2026.10.3-r1", "2026.10.3-gpu-r1"),
        (
            *(User(str(uuid5(NAMESPACE_URL, f"user:{number}"))) for number in range(10)),
            *(User(f"globex|{number}") for number in range(100, 108)),
            *(User(f"initech|worker-{number}", "gpu") for number in range(4, 7)),
            User("ana@example.com"),
            User("tom.baker@example.com"),
            User("zoe@example.com"),
        ),
    ),
)

FOUND_IN_KV = (
    Entry("2026.10.12-r1", 1, "2026.10.12-r1"),
    # The pipeline pushed an old image under a new tag: sync reports who owns the digest.
    Entry("2026.10.11-r1", 2, "2026.10.9-r1"),
)
