"""The numbers of the overview, in one statement."""

from dataclasses import dataclass

from shared.catalog.connection import RawConnection, fetch


@dataclass(frozen=True, slots=True)
class Statistics:
    """How many there are. `pins_total` counts every row, whatever its state."""

    versions_total: int
    versions_active: int
    versions_deprecated: int
    versions_disabled: int
    variants: int
    pins_total: int
    pins_suspended: int
    pins_expired: int
    pins_expiring_soon: int


def read_statistics(connection: RawConnection) -> Statistics:
    """Count versions that are not retired, variants, which stay, and pins.

    Expiring soon is within seven days.
    """
    return fetch(
        connection,
        Statistics,
        """
        WITH versions AS (
            SELECT count(*) AS total,
                   count(*) FILTER (WHERE status = 'active') AS active,
                   count(*) FILTER (WHERE status = 'deprecated') AS deprecated,
                   count(*) FILTER (WHERE status = 'disabled') AS disabled,
                   (SELECT count(DISTINCT variant) FROM kiloclaw_available_versions)
                       AS variants
              FROM kiloclaw_available_versions WHERE retired_at IS NULL
        ), pins AS (
            SELECT count(*) AS total,
                   count(*) FILTER (WHERE v.status = 'disabled'
                                      AND (p.expires_at IS NULL OR p.expires_at > now()))
                       AS suspended,
                   count(*) FILTER (WHERE p.expires_at <= now()) AS expired,
                   count(*) FILTER (WHERE p.expires_at > now()
                                      AND p.expires_at <= now() + interval '7 days')
                       AS expiring_soon
              FROM kiloclaw_version_pins p
              JOIN kiloclaw_available_versions v ON v.image_tag = p.image_tag
        )
        SELECT versions.total AS versions_total, versions.active AS versions_active,
               versions.deprecated AS versions_deprecated,
               versions.disabled AS versions_disabled, versions.variants,
               pins.total AS pins_total, pins.suspended AS pins_suspended,
               pins.expired AS pins_expired, pins.expiring_soon AS pins_expiring_soon
          FROM versions, pins
        """,
        {},
    )[0]
