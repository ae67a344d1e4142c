"""What codes mean, in sentences."""

from collections.abc import Iterable, Mapping
from typing import Any

from shared.catalog.audit import Event
from shared.domain.errors import Refused
from shared.domain.model import Version
from shared.domain.pointer import Brake, Reports
from shared.domain.values import DEFAULT_VARIANT
from shared.http.problems import ForeignPost, NoRole, StaleForm

IN_DOUBT = (
    "Try again shortly. If you have just confirmed a change, see first whether it was made."
)
"""A store may do what it was told though its answer is lost."""
ADVICE: Mapping[str, str] = {
    "forbidden": "Ask an administrator to do it, or to give you the role, and sign in again.",
    "not_found": "Check the address, or start from the overview.",
    "version_not_found": "It may be retired, or not published yet. See all versions.",
    "variant_not_found": "A variant exists from its first published version on.",
    "pin_not_found": "Somebody may have removed it already.",
    "instance_not_found": "The user has not started an instance, or it was destroyed.",
    "method_not_allowed": "Go back, and use the page's own buttons.",
    "digest_in_use": "One digest has one tag. Publish under the tag that has it.",
    "digest_changed": "A tag's digest never changes. Publish the new image under a new tag.",
    "variant_changed": "A tag's variant never changes. Publish the image under a new tag.",
    "tag_retired": "A retired tag stays taken. Publish the image under a new tag.",
    "version_not_active": "Choose an active version, or enable this one first.",
    "version_disabled": "Choose a version that is not disabled.",
    "version_in_use": "Name a replacement, or move the variant's latest first.",
    "version_pinned": "Name a replacement for its pins, or leave them suspended.",
    "bulk_rejected": "Leave these users out, or correct what is wrong, and try again.",
    "too_many_pins": "Move some of its pins first, in parts.",
    "invalid_replacement": "Choose an active version of the same variant.",
    "no_latest": "Promote a version of the variant first.",
    "already_latest": "Everybody gets it already. Choose another version.",
    "rollout_in_progress": "Promote or abort the rollout that runs first.",
    "rollout_held": "Look at the failed starts, then resume or abort the rollout.",
    "not_held": "Somebody may have resumed or aborted it already.",
    "nothing_to_roll_back_to": "Promote the version that everybody should get.",
    "no_version_available": "Promote a version of the variant first.",
    "stale_revision": "Look at what has changed, and decide again.",
    "invalid_request": "Go back and correct it.",
    "internal_error": "Try again. If it keeps happening, tell the operators the id below.",
    "catalog_unavailable": "The catalog does not answer. " + IN_DOUBT,
    "kv_unavailable": "The KV does not answer. " + IN_DOUBT,
}


SPECIAL_ADVICE: Mapping[type[Refused], str] = {
    NoRole: "Ask an administrator to put you into one of the groups viewer, publisher and "
    "admin. Then sign out and sign in again: roles are read at the sign-in.",
    ForeignPost: "If you meant to do this, do it on the console's own page.",
    StaleForm: "You have signed in again since the page was loaded. Load it again, and "
    "repeat what you did.",
}
"""Where the code alone does not tell."""


def advice(refusal: Refused) -> str:
    """Say what to do about a refusal."""
    special = SPECIAL_ADVICE.get(type(refusal))
    return special or ADVICE.get(refusal.code, "Go back and try again.")


SOURCES: Mapping[str, str] = {
    "pin": "the user's pin",
    "rollout": "the rollout",
    "latest": "what was latest",
    "instance": "what it ran before",
}
"""The rules that chose what runs, as "chosen by …"."""

OUTCOMES: Mapping[str, str] = {
    "ok": "The catalog agrees with the KV, except for rejected entries.",
    "skipped_locked": "Another run was going on, so this one did nothing. The report of that "
    "one appears in the list of runs when it ends.",
    "suspect_partial": "The KV answered with far fewer entries than before, so no version was "
    "marked as missing. The third such run in a row is believed.",
}
TRIGGERS: Mapping[str, str] = {
    "schedule": "the schedule",
    "direct": "an operator",
    "api": "an administrator",
}
REMEDIES: Mapping[str, str] = {
    "digest_in_use": "One digest has one tag. Delete this entry from the KV, or publish the "
    "image under the tag that has its digest.",
    "digest_changed": "A tag's digest never changes. Write the digest above back into the "
    "entry, and publish the new image under a new tag.",
    "variant_changed": "A tag's variant never changes. Write the variant above back into the "
    "entry, and publish the image for the other variant under a new tag.",
    "invalid_entry": "The entry breaks a rule. Correct it in the KV, or publish the image "
    "again.",
    "invalid_pointer": "Users get what the catalog knows instead. Promote the version that "
    "everybody should get, and have the pipeline write pointers to active versions only.",
    "pointer_pending": "The KV's pointer names a version whose entry is not there yet. Users "
    "get what the catalog knows until then. Publish that version, or promote another.",
    "missing": "The version is in use, but its entry is gone from the KV. Have the operators "
    "rebuild the KV from the catalog.",
}
"""What to do about each finding of the sync."""

ACTIONS: Mapping[str, str] = {
    "version.published": "published",
    "version.updated": "published again",
    "version.status_changed": "changed the status of",
    "version.notes_changed": "changed the notes of",
    "version.retired": "retired",
    "version.digest_released": "released the digest of",
    "latest.promoted": "moved latest of",
    "latest.adopted": "moved latest of",
    "latest.reverted": "was refused a move of",
    "rollout.adopted": "changed the candidate of",
    "rollout.ended": "ended the rollout of",
    "rollout.reverted": "was refused a rollout of",
    "latest.rolled_back": "rolled back",
    "rollout.set": "set the candidate of",
    "rollout.aborted": "aborted the rollout of",
    "rollout.held": "held the rollout of",
    "rollout.resumed": "resumed the rollout of",
    "pin.set": "pinned",
    "pin.removed": "unpinned",
    "user.erased": "erased",
    "sync.finished": "took in what the KV had new",
}
FIELDS: Mapping[str, str] = {
    "image_tag": "Image tag",
    "image_digest": "Digest",
    "openclaw_version": "OpenClaw",
    "published_at": "Published",
}


def field(name: str) -> str:
    """How pages call a field or a column."""
    return FIELDS.get(name, name.replace("_", " ").capitalize())


def actor(event: Event) -> str:
    """Say who did it. What was found in the KV was written there by a pipeline or the brake."""
    if event.actor != "kv":
        return event.actor
    return "sync" if event.action == "sync.finished" else "the KV"


def sentence(event: Event) -> str:
    """Say what an event did, up to the name of what it was done to."""
    before, after = event.before or {}, event.after or {}
    if event.action == "rollout.adopted" and after.get("held") and not before.get("held"):
        return "learned that the brake held the rollout of"
    return ACTIONS.get(event.action, event.action)


def tag_after(event: Event) -> str | None:
    """The tag to which something was pinned or moved, if the event says one."""
    after: Mapping[str, Any] = event.after or {}
    tag = after.get("image_tag") or after.get("latest_tag")
    if event.action.startswith("rollout."):
        is_set = event.action in {"rollout.set", "rollout.adopted"} and not after.get("held")
        tag = after.get("candidate_tag") if is_set else None
    return tag if isinstance(tag, str) else None


def detail(event: Event) -> str:
    """Say what else matters most: a new status, or the share of a rollout."""
    after: Mapping[str, Any] = event.after or {}
    if event.action == "version.status_changed":
        return f"to {after.get('status')}"
    percent = after.get("percent")
    return f"({percent}\N{NO-BREAK SPACE}%)" if tag_after(event) and percent is not None else ""


def version_choices(
    versions: Iterable[Version], nothing: str = "Choose a version"
) -> list[tuple[str, str]]:
    """What a select of versions offers; `nothing` says that none is chosen."""
    return [("", nothing), *((version.image_tag, _describe(version)) for version in versions)]


def _describe(version: Version) -> str:
    """`2026.11.3-r2 — OpenClaw 2026.11.3, latest`; what is usual is left out."""
    words = [
        *([] if version.variant == DEFAULT_VARIANT else [version.variant]),
        *([] if version.status == "active" else [version.status]),
        *(["latest"] if version.is_latest else []),
    ]
    return ", ".join([f"{version.image_tag} — OpenClaw {version.openclaw_version}", *words])


def reported(reports: Reports, brake: Brake | None) -> str:
    """`4 of 9 starts failed; your limit is 3 and 30 %`."""
    total = reports.ok + reports.failed
    if not total:
        return "no start was reported yet"
    starts = f"{reports.failed:,} of {total:,} {'start' if total == 1 else 'starts'} failed"
    if brake is None:
        return starts
    limit = f"{brake.min_failures:,} and {brake.percent}\N{NO-BREAK SPACE}%"
    return f"{starts}; your limit is {limit}"
