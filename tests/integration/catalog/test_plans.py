"""What pages cost: a page reads about as many rows as it shows, wherever in the list it is."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, Self, get_args

import psycopg
import pytest
from psycopg.abc import Params

from infra.local.postgres import Postgres
from shared.catalog.audit import Audit, EventFilter
from shared.catalog.facts import FACTS
from shared.catalog.fleet import Fleet, InstanceFilter, InstanceSort
from shared.catalog.pin_pages import PinFilter, State
from shared.catalog.pins import Pins
from shared.catalog.runs import Runs
from shared.catalog.version_pages import SORTED_BY, Order, Sort, VersionFilter
from shared.catalog.versions import Versions
from tests.support.stores import make_catalog

LIMIT = 26
AT_MOST = 4 * LIMIT
"""A row shown may be looked up in a second table; one may be read to no avail."""
VERSIONS = 5000
GROUPS = 5
"""Of instances with the same version, variant and source; a filtered page looks at each."""
DISABLED, EXPIRED, AMONG_NEWEST = 41, 300, 1000
"""Versions and pins; how many of the newest pins are asked first whether they have expired."""
ROWS: LiteralString = """
INSERT INTO kiloclaw_available_versions
       (image_tag, openclaw_version, variant, published_at, created_at)
SELECT 'tag-' || n, '2026.' || 1 + n % 12 || '.' || 1 + n % 28, 'v' || n % 3,
       epoch - n * interval '1 minute', epoch - n * interval '1 hour'
  FROM generate_series(1, 5000) AS n, (SELECT timestamptz '2026-11-20Z') AS zero (epoch);
UPDATE kiloclaw_available_versions SET status = 'disabled'
 WHERE image_tag = 'tag-50' OR published_at < timestamptz '2026-11-16T13:20Z';
UPDATE kiloclaw_available_versions SET status = 'deprecated' WHERE image_tag = 'tag-49';
INSERT INTO kiloclaw_version_pins (user_id, image_tag, pinned_by, created_at, expires_at)
SELECT 'user-' || n, 'tag-' || 1 + n % 50, 'eve', epoch - n * interval '10 minutes',
       CASE WHEN n > 19700 THEN epoch WHEN n % 10 = 0 THEN timestamptz '9000-01-01Z' END
  FROM generate_series(1, 20000) AS n, (SELECT timestamptz '2026-11-20Z') AS zero (epoch);
INSERT INTO kiloclaw_audit_log (at, actor, action, subject_kind, subject_id)
SELECT epoch + n * interval '1 minute', 'actor-' || n % 700, 'action-' || n % 700, 'version',
       'tag-' || n % 700
  FROM generate_series(1, 20000) AS n, (SELECT timestamptz '2026-11-20Z') AS zero (epoch);
INSERT INTO kiloclaw_sync_runs (started_at, finished_at, outcome, counts, trigger)
SELECT epoch - n * interval '1 minute', now(), 'ok', '{"seen": 1}', 'schedule'
  FROM generate_series(1, 20000) AS n, (SELECT timestamptz '2026-11-20Z') AS zero (epoch);
INSERT INTO kiloclaw_variants (variant) VALUES ('v0'), ('v1'), ('v2');
INSERT INTO kiloclaw_instances
       (user_id, image_tag, openclaw_version, variant, source, is_pinned, resolved_at,
        decided_at)
SELECT 'user-' || md5(n::text), CASE WHEN n > 15000 THEN 'tag-1' ELSE 'tag-2' END, '2026.11.1',
       'v' || n / 8000, CASE WHEN n > 18000 THEN 'rollout' ELSE 'latest' END, false, at, at
  FROM generate_series(1, 20000) AS n,
       LATERAL (SELECT timestamptz '2026-11-20Z' - n * interval '1 second' AS at) AS started
"""
EPOCH = datetime(2026, 11, 20, tzinfo=UTC)
PLACES: dict[str, str] = {
    "published_at": "2026-11-18T12:00:00Z",
    "created_at": "2026-09-01T00:00:00Z",
    "image_tag": "tag-3000",
    "openclaw_version": "2026.6.15",
}
Plan = dict[str, Any]


class _Explained(psycopg.Cursor[Any]):
    """A cursor that has each statement explained, as carried out, before it runs it."""

    plans: list[Plan]

    def execute(self, query: Any, params: Params | None = None, **options: Any) -> Self:
        explained = psycopg.Cursor(self.connection)
        explained.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + query, params)
        [(found,)] = explained.fetchall()
        self.plans.append(found[0]["Plan"])
        return super().execute(query, params, **options)


@pytest.fixture(scope="module")
def filled_connection(each_server: Postgres) -> Iterator[psycopg.Connection[Any]]:
    """A connection to thousands of rows of every kind, planned for as in production."""
    store = make_catalog(each_server)
    store.sql(ROWS)
    store.sql("VACUUM ANALYZE")
    with psycopg.connect(each_server.superuser(store.dbname), autocommit=True) as connection:
        connection.prepare_threshold = None
        connection.cursor_factory = _Explained
        yield connection


@pytest.fixture
def connection(
    filled_connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> psycopg.Connection[Any]:
    """The same, with an empty list of plans."""
    monkeypatch.setattr(_Explained, "plans", [], raising=False)
    return filled_connection


def _rows_read(plan: Plan) -> float:
    """How many rows all scans below touched, those that a filter threw away included."""
    read = sum(_rows_read(part) for part in plan.get("Plans", ()))
    if "Relation Name" in plan and plan["Relation Name"] != "kiloclaw_variants":
        touched = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        read += touched * plan["Actual Loops"]
    return float(read)


def _check_cost(rows: list[Any], most: int = AT_MOST) -> None:
    """The page is full, and little more was read than it shows."""
    assert len(rows) == LIMIT
    [plan] = _Explained.plans
    assert LIMIT <= _rows_read(plan) <= most


@pytest.mark.parametrize("deep", [False, True], ids=["first", "deep"])
@pytest.mark.parametrize("order", get_args(Order))
@pytest.mark.parametrize("sort", get_args(Sort))
def test_a_page_of_versions_costs_what_it_shows(
    connection: psycopg.Connection[Any], sort: Sort, order: Order, *, deep: bool
) -> None:
    """This holds in every order, both ways, on the first page and in the middle."""
    after = tuple(PLACES[name] for name in SORTED_BY[sort]) if deep else None
    _check_cost(Versions(connection).page(VersionFilter(), sort, order, after, LIMIT))


@pytest.mark.parametrize("deep", [False, True], ids=["first", "deep"])
@pytest.mark.parametrize("tag", [None, "tag-7"])
def test_a_page_of_pins_costs_what_it_shows(
    connection: psycopg.Connection[Any], tag: str | None, *, deep: bool
) -> None:
    """This holds for all pins and for those to one version."""
    after = _middle(connection) if deep else None
    _check_cost(Pins(connection).page(PinFilter(tag), after, LIMIT))


@pytest.mark.parametrize("deep", [False, True], ids=["first", "deep"])
@pytest.mark.parametrize(
    ("state", "most"),
    [
        ("applied", AT_MOST),
        ("suspended", AT_MOST + DISABLED),
        ("expired", AT_MOST + EXPIRED + AMONG_NEWEST),
    ],
)
def test_a_page_of_pins_in_one_state_costs_little_more_than_it_shows(
    connection: psycopg.Connection[Any], state: State, most: int, *, deep: bool
) -> None:
    """Suspended pins are found by the disabled versions, expired ones by their expiry."""
    after = _middle(connection) if deep else None
    pins = Pins(connection).page(PinFilter(state=state), after, LIMIT)
    assert [pin.state for pin in pins] == [state] * LIMIT
    assert LIMIT <= sum(_rows_read(plan) for plan in _Explained.plans) <= most


@pytest.mark.parametrize("deep", [False, True], ids=["first", "deep"])
def test_a_page_of_stale_pins_costs_little_more_than_it_shows(
    connection: psycopg.Connection[Any], *, deep: bool
) -> None:
    """Old pins are found by their age, the others by the few deprecated versions."""
    after = _middle(connection) if deep else None
    pins = Pins(connection).page(PinFilter(stale=True), after, LIMIT)
    assert len(pins) == LIMIT
    assert sum(_rows_read(plan) for plan in _Explained.plans) <= 2 * AT_MOST + 2 * VERSIONS


@pytest.mark.parametrize("state", ["suspended", "expired"])
def test_no_pin_in_a_state_is_soon_known(
    connection: psycopg.Connection[Any], state: State
) -> None:
    """Beyond the last one the page is empty, and the other pins were not read."""
    after = ("2000-01-01T00:00:00Z", "")
    assert Pins(connection).page(PinFilter(state=state), after, LIMIT) == []
    assert sum(_rows_read(plan) for plan in _Explained.plans) <= DISABLED + EXPIRED


def _middle(connection: psycopg.Connection[Any]) -> tuple[str, str]:
    plain = psycopg.Cursor(connection)
    [(created_at, user_id)] = plain.execute(
        "SELECT created_at::text, user_id FROM kiloclaw_version_pins"
        " ORDER BY created_at DESC OFFSET 10000 LIMIT 1"
    ).fetchall()
    return created_at, user_id


@pytest.mark.parametrize("after", [None, 19_600])
@pytest.mark.parametrize(
    "wanted",
    [
        EventFilter(),
        EventFilter(actor="actor-7"),
        EventFilter(action="action-7"),
        EventFilter(subject="tag-7"),
        EventFilter(since=EPOCH + timedelta(minutes=9_000)),
        EventFilter(until=EPOCH + timedelta(minutes=9_000)),
        EventFilter(actor="actor-7", until=EPOCH + timedelta(minutes=19_000)),
    ],
)
def test_a_page_of_the_log_costs_what_it_shows(
    connection: psycopg.Connection[Any], wanted: EventFilter, after: int | None
) -> None:
    """This holds for all events and for those by actor, action, subject and time."""
    _check_cost(Audit(connection).page(wanted, after, LIMIT))


@pytest.mark.parametrize("deep", [False, True], ids=["first", "deep"])
def test_a_page_of_runs_costs_what_it_shows(
    connection: psycopg.Connection[Any], *, deep: bool
) -> None:
    """A page stays cheap although a run a minute is half a million rows a year."""
    page = Runs(connection).page
    after = ("2026-11-12T00:00:00Z", page(None, 1)[0].id) if deep else None
    _Explained.plans.clear()
    _check_cost(page(after, LIMIT))


@pytest.mark.parametrize("deep", [False, True], ids=["first", "deep"])
@pytest.mark.parametrize("sort", get_args(InstanceSort))
@pytest.mark.parametrize(
    "wanted",
    [
        InstanceFilter(),
        InstanceFilter(image_tag="tag-1"),
        InstanceFilter(variant="v2"),
        InstanceFilter(source="rollout"),
        InstanceFilter(image_tag="tag-1", variant="v2", source="latest"),
    ],
)
def test_a_page_of_instances_costs_what_it_shows(
    connection: psycopg.Connection[Any],
    wanted: InstanceFilter,
    sort: InstanceSort,
    *,
    deep: bool,
) -> None:
    """A page stays cheap also where the filter finds only instances that started long ago."""
    page = Fleet(connection).page
    after = None
    if deep:
        [*_, last] = page(wanted, sort, None, 1000)
        after = (last.resolved_at, last.user_id)
    _Explained.plans.clear()
    _check_cost(page(wanted, sort, after, LIMIT), AT_MOST + GROUPS * LIMIT)


def test_filters_that_nobody_fits_together_are_soon_known(
    connection: psycopg.Connection[Any],
) -> None:
    """Each filter alone fits thousands, and none of them is read."""
    wanted = InstanceFilter(variant="v0", source="rollout")
    assert Fleet(connection).page(wanted, "user_id", None, LIMIT) == []
    assert sum(_rows_read(plan) for plan in _Explained.plans) <= AT_MOST


@pytest.mark.parametrize(
    ("ask", "most"),
    [
        (lambda connection: connection.execute(FACTS, {"user": "user-7", "variant": "v0"}), 4),
        (lambda connection: Runs(connection).past(), 8),
        (lambda connection: Versions(connection).find("tag-7"), 1),
        (lambda connection: Pins(connection).find("user-7"), 2),
        (lambda connection: [Fleet(connection).as_of()], 1),
        (lambda connection: Pins(connection).count("tag-7"), 400),
        (lambda connection: Fleet(connection).shares(["tag-7"]), 400),
    ],
)
def test_a_look_up_costs_what_it_finds(
    connection: psycopg.Connection[Any], ask: Callable[[Any], object], most: int
) -> None:
    """A look-up reads about as many rows as it returns, however many others there are."""
    assert ask(connection)
    [plan] = _Explained.plans
    assert 1 <= _rows_read(plan) <= most


@pytest.mark.parametrize(
    "wanted",
    [
        EventFilter(actor="actor-7", since=EPOCH + timedelta(minutes=19_000)),
        EventFilter(until=EPOCH + timedelta(minutes=30)),
        EventFilter(since=EPOCH + timedelta(minutes=19_990)),
        EventFilter(action="none", since=EPOCH, until=EPOCH + timedelta(minutes=30)),
    ],
)
def test_few_events_of_a_time_are_soon_found(
    connection: psycopg.Connection[Any], wanted: EventFilter
) -> None:
    """A page that is not full does not search the rest of the log."""
    assert len(Audit(connection).page(wanted, None, LIMIT + 10)) < LIMIT + 10
    [plan] = _Explained.plans
    assert _rows_read(plan) <= AT_MOST
