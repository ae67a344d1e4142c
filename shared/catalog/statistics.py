"""The numbers of the overview, in one statement."""

from dataclasses import dataclass

from shared.catalog.connection import RawConnection, fetch


@dataclass(frozen=True, slots=True)
class Statistics:
    """The counts. `pins_total` counts every pin, whatever its state."""

    versions_total: int
    versions_active: int
    versions_deprecated: int
    versions_disabled: int
    variants: int
    pins_total: int
    pins_suspended: int
    pins_expired: int
    pins_expiring_soon: int
    pins_stale: int


def read_statistics(connection: RawConnection) -> Statistics:
    """Count versions that are not retired, their variants, and pins.

    Expiring soon is within seven days. Stale pins are without an end and older than 90 days, or
    name a deprecated version.
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
                   count(DISTINCT variant) AS variants
              FROM kiloclaw_available_versions WHERE retired_at IS NULL
        ), pins AS (
            SELECT (SELECT count(*) FROM kiloclaw_version_pins) AS total,
                   -- Version by version, so that only their pins are read.
                   (SELECT coalesce(sum(of_version.pins), 0)
                      FROM kiloclaw_available_versions v
                     CROSS JOIN LATERAL (
                           SELECT count(*) AS pins FROM kiloclaw_version_pins p
                            WHERE p.image_tag = v.image_tag
                              AND (p.expires_at IS NULL OR p.expires_at > now())
                     ) AS of_version
                     WHERE v.status = 'disabled')::bigint AS suspended,
                   (SELECT count(*) FROM kiloclaw_version_pins WHERE expires_at <= now())
                       AS expired,
                   (SELECT count(*) FROM kiloclaw_version_pins
                     WHERE expires_at > now() AND expires_at <= now() + interval '7 days')
                       AS expiring_soon,
                   (SELECT count(*) FROM kiloclaw_version_pins
                     WHERE expires_at IS NULL AND created_at < now() - interval '90 days')
                   + (SELECT coalesce(sum(of_version.pins), 0)
                        FROM kiloclaw_available_versions v
                       CROSS JOIN LATERAL (
                             SELECT count(*) AS pins FROM kiloclaw_version_pins p
                              WHERE p.image_tag = v.image_tag
                                AND (p.expires_at IS NOT NULL
                                     OR p.created_at >= now() - interval '90 days')
                       ) AS of_version
                       WHERE v.status = 'deprecated')::bigint AS stale
        )
        SELECT versions.total AS versions_total, versions.active AS versions_active,
               versions.deprecated AS versions_deprecated,
               versions.disabled AS versions_disabled, versions.variants,
               pins.total AS pins_total, pins.suspended AS pins_suspended,
               pins.expired AS pins_expired, pins.expiring_soon AS pins_expiring_soon,
               pins.stale AS pins_stale
          FROM versions, pins
        """,
        {},
    )[0]
