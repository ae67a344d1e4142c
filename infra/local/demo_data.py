"""The versions, pins and users of the demo."""

from typing import NamedTuple
from uuid import NAMESPACE_URL, uuid5


class DemoVersion(NamedTuple):
    """A version published `days` ago. Its OpenClaw version is the beginning of its tag."""

    tag: str
    days: float
    notes: str
    variant: str = "default"


class DemoStatus(NamedTuple):
    """A status and note that an administrator sets."""

    tag: str
    status: str
    notes: str


class DemoUser(NamedTuple):
    """A user with an instance."""

    user_id: str
    variant: str = "default"


class DemoPin(NamedTuple):
    """A user's pin; it ends after so many `days`, or `expires` as soon as the API allows."""

    user_id: str
    tag: str
    reason: str
    expires: bool = False
    days: int | None = None


class DemoLatest(NamedTuple):
    """Tags that became latest, and the users whose instances started after that."""

    tags: tuple[str, ...]
    users: tuple[DemoUser, ...]


class DemoRollback(NamedTuple):
    """A version that became latest for a moment, and why it was rolled back."""

    tag: str
    variant: str
    reason: str


class DemoRollout(NamedTuple):
    """A rollout with its brake, and the users who upgrade while it runs.

    `canary` is pinned to the candidate; its starts were reported with these outcomes.
    """

    tag: str
    variant: str
    percent: int
    min_failures: int
    failed_percent: int
    users: tuple[DemoUser, ...]
    canary: str
    outcomes: tuple[str, ...]


class DemoEntry(NamedTuple):
    """An image entry that a pipeline wrote straight into the KV."""

    tag: str
    days: float
    digest_of: str
    variant: str = "default"


VERSIONS = (
    DemoVersion("2026.7.14-r1", 96, "First image with the new scheduler"),
    DemoVersion("2026.8.2-r1", 77, "Smaller base image"),
    DemoVersion("2026.8.19-r1", 60, "Session store moved to SQLite"),
    DemoVersion("2026.8.19-r2", 58, "Same OpenClaw, patched OpenSSL"),
    DemoVersion("2026.9.5-r1", 43, "Browser tool in its own sandbox"),
    DemoVersion("2026.9.20-r1", 28, "Faster cold start"),
    DemoVersion("2026.9.28-r1", 20, "Calendar and mail plugins updated"),
    DemoVersion("2026.10.3-r1", 15, "Memory search is twice as fast"),
    DemoVersion("2026.10.3-2-r1", 12, "Correction of 2026.10.3: attachments above 20 MB"),
    DemoVersion("2026.10.12-beta.1-r1", 3, "Beta, for those who asked for it"),
    DemoVersion("2026.10.9-r1", 9, "Release candidate, in canary"),
    DemoVersion("2026.8.21-gpu-r1", 57, "CUDA 12.6", "gpu"),
    DemoVersion("2026.9.22-gpu-r1", 26, "CUDA 12.8, local speech models", "gpu"),
    DemoVersion("2026.10.3-gpu-r1", 14, "As 2026.10.3, with CUDA 12.8", "gpu"),
    DemoVersion("2026.10.9-gpu-r1", 8, "Release candidate, in canary", "gpu"),
    DemoVersion("2026.9.20-mini-r1", 25, "For instances with one processor", "mini"),
    DemoVersion("2026.10.3-mini-r1", 11, "As 2026.10.3, without the browser", "mini"),
)

STATUSES = (
    DemoStatus("2026.7.14-r1", "deprecated", "Superseded; leaks file handles over weeks"),
    DemoStatus("2026.8.2-r1", "deprecated", "Superseded by 2026.8.19"),
    DemoStatus("2026.8.19-r1", "disabled", "Vulnerable OpenSSL: use 2026.8.19-r2"),
    DemoStatus("2026.9.5-r1", "disabled", "The sandbox can be left: do not run"),
    DemoStatus("2026.8.21-gpu-r1", "deprecated", "Old CUDA; drivers drop it next year"),
)

PINS = (
    DemoPin(
        "sofia@example.com", "2026.9.20-r1", "Wait for the fix of the mail plugin", expires=True
    ),
    DemoPin("acme|1007", "2026.8.2-r1", "Audit week: nothing may change", expires=True),
    DemoPin("maria.lopez@example.com", "2026.8.19-r2", "Extension needs the old session API"),
    DemoPin("acme|1001", "2026.9.20-r1", "Customer asked for a frozen version"),
    DemoPin("acme|1002", "2026.9.20-r1", "Customer asked for a frozen version"),
    DemoPin("globex|42", "2026.7.14-r1", "Self-built plugin, port is under way"),
    DemoPin("oauth/google:114000741928328149731", "2026.10.12-beta.1-r1", "Asked for the beta"),
    DemoPin("o'brien@example.com", "2026.10.3-2-r1", "Large attachments"),
    DemoPin("kenji@example.com", "2026.10.9-r1", "Canary", days=5),
    DemoPin("li.wei@example.com", "2026.10.9-r1", "Canary", days=30),
    DemoPin("initech|render-1", "2026.9.22-gpu-r1", "Driver 570 on this host"),
    DemoPin("initech|render-2", "2026.10.9-gpu-r1", "Canary"),
    DemoPin("hooli|canary", "2026.10.3-mini-r1", "Canary"),
    DemoPin("omar@example.com", "2026.9.5-r1", "Tries the browser sandbox"),
    DemoPin("globex|77", "2026.8.19-r1", "Load test in progress"),
)

PINNED_USERS = tuple(DemoUser(pin.user_id) for pin in PINS)
"""The variant is that of the pinned version."""

LATEST = (
    DemoLatest(
        ("2026.9.28-r1", "2026.9.22-gpu-r1"),
        (
            *(DemoUser(f"acme|{number}") for number in range(1010, 1018)),
            *(DemoUser(f"initech|worker-{number}", "gpu") for number in range(1, 4)),
            DemoUser("nina@example.com"),
            DemoUser("paul+test@example.com"),
        ),
    ),
    DemoLatest(
        ("2026.10.3-r1", "2026.10.3-gpu-r1", "2026.9.20-mini-r1"),
        (
            *(DemoUser(str(uuid5(NAMESPACE_URL, f"user:{number}"))) for number in range(10)),
            *(DemoUser(f"globex|{number}") for number in range(100, 108)),
            *(DemoUser(f"initech|worker-{number}", "gpu") for number in range(4, 7)),
            *(DemoUser(f"hooli|{number}", "mini") for number in range(1, 7)),
            DemoUser("ana@example.com"),
            DemoUser("tom.baker@example.com"),
            DemoUser("zoe@example.com"),
            DemoUser("_svc-kilo"),
            DemoUser("oauth/google:108177203395528417602"),
        ),
    ),
)

ROLLBACK = DemoRollback("2026.10.3-2-r1", "default", "Attachments arrive twice")

ROLLOUTS = (
    DemoRollout(
        "2026.10.9-gpu-r1", "gpu", 25, 5, 30,
        tuple(DemoUser(f"initech|worker-{number}", "gpu") for number in range(1, 7)),
        "initech|render-2", ("ok", "ok", "failed", "ok"),
    ),
    # The brake holds it: four of nine starts failed.
    DemoRollout(
        "2026.10.3-mini-r1", "mini", 50, 4, 40,
        tuple(DemoUser(f"hooli|{number}", "mini") for number in range(1, 7)),
        "hooli|canary",
        ("ok", "ok", "failed", "ok", "failed", "failed", "ok", "ok", "failed"),
    ),
)  # fmt: skip

FOUND_IN_KV = (
    DemoEntry("2026.10.12-r1", 1, "2026.10.12-r1"),
    # The pipeline pushed an old image under a new tag: sync reports who owns the digest.
    DemoEntry("2026.10.11-r1", 2, "2026.10.9-r1"),
)
