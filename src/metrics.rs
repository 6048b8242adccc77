//! What Prometheus reads: the names are a contract (other people's dashboards use them).
//!
//! Counters and histograms are kept here by whoever does the work; gauges are read from the store
//! when they are asked for. No label ever names a person.

mod tally;

use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub use tally::{Counts, Deliveries, OfOrganization, Tally};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Request {
    pub organization: String,
    pub method: String,
    pub resource: String,
    pub status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Changed {
    pub organization: String,
    pub resource: String,
    pub verb: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Tolerated {
    pub organization: String,
    pub quirk: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Connector {
    pub connector: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Delivery {
    pub connector: String,
    pub outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct InState {
    pub connector: String,
    pub state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfKind {
    pub connector: String,
    pub kind: String,
}

type Seconds = Gauge<f64, AtomicU64>;
type Histograms = Family<Connector, Histogram, fn() -> Histogram>;

/// Of the process, as its log is.
pub static LOG_LINES_DROPPED: LazyLock<Counter> = LazyLock::new(Counter::default);

/// Everything that is counted. One for the process, handed to whoever counts.
pub struct Metrics {
    registry: Registry,
    pub http_requests: Family<Request, Counter>,
    pub http_duration: Histogram,
    pub changes: Family<Changed, Counter>,
    pub quirks: Family<Tolerated, Counter>,
    pub requests_dropped: Counter,
    pub deliveries: Family<Delivery, Counter>,
    pub events_collapsed: Family<Connector, Counter>,
    pub delivery_duration: Histograms,
    pub delivery_lag: Histograms,
    pub connector_up: Family<Connector, Gauge>,
    pub connector_paused: Family<Connector, Gauge>,
    pub queue_entries: Family<InState, Gauge>,
    pub queue_oldest: Family<Connector, Seconds>,
    pub held: Family<OfKind, Gauge>,
    pub removals: Family<OfKind, Gauge>,
    pub reconcile_drift: Family<OfKind, Gauge>,
    pub reconcile_last_success: Family<Connector, Seconds>,
    pub commit_duration: Histogram,
    pub panics: Counter,
    pub tally: Tally,
}

/// From half a millisecond to half a minute.
fn latencies() -> Histogram {
    Histogram::new([
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    ])
}

/// From a tenth of a second to a week: how far behind a target may fall.
fn lags() -> Histogram {
    Histogram::new([
        0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0, 43_200.0, 172_800.0,
        604_800.0,
    ])
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("scim_relay");
        let metrics = Self {
            registry: Registry::default(),
            http_requests: Family::default(),
            http_duration: latencies(),
            changes: Family::default(),
            quirks: Family::default(),
            requests_dropped: Counter::default(),
            deliveries: Family::default(),
            events_collapsed: Family::default(),
            delivery_duration: Histograms::new_with_constructor(latencies),
            delivery_lag: Histograms::new_with_constructor(lags),
            connector_up: Family::default(),
            connector_paused: Family::default(),
            queue_entries: Family::default(),
            queue_oldest: Family::default(),
            held: Family::default(),
            removals: Family::default(),
            reconcile_drift: Family::default(),
            reconcile_last_success: Family::default(),
            commit_duration: latencies(),
            panics: Counter::default(),
            tally: Tally::default(),
        };
        let m = &metrics;
        registry.register("http_requests", "SCIM requests answered", m.http_requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time to answer a SCIM request",
            Unit::Seconds,
            m.http_duration.clone(),
        );
        registry.register("changes", "Changes written by providers", m.changes.clone());
        registry.register(
            "quirks",
            "Deviations from the RFCs that were tolerated",
            m.quirks.clone(),
        );
        registry.register(
            "requests_dropped",
            "Requests left out of what `scim-relay requests` shows: too many at once",
            m.requests_dropped.clone(),
        );
        registry.register("deliveries", "Deliveries, by how they ended", m.deliveries.clone());
        registry.register(
            "events_collapsed",
            "Events that became too old to be kept before they were told, and are told as one with another",
            m.events_collapsed.clone(),
        );
        registry.register_with_unit(
            "delivery_duration",
            "Time one delivery takes at its target",
            Unit::Seconds,
            m.delivery_duration.clone(),
        );
        registry.register_with_unit(
            "delivery_lag",
            "Time from a change to its delivery",
            Unit::Seconds,
            m.delivery_lag.clone(),
        );
        registry.register("connector_up", "1 while the target answers", m.connector_up.clone());
        registry.register(
            "connector_paused",
            "1 while a person has paused the connector",
            m.connector_paused.clone(),
        );
        registry.register("queue_entries", "Queue entries by state", m.queue_entries.clone());
        registry.register_with_unit(
            "queue_oldest",
            "Age of the oldest entry that could be worked on",
            Unit::Seconds,
            m.queue_oldest.clone(),
        );
        registry.register("held", "Entries that wait for a person's approval", m.held.clone());
        registry.register(
            "removals_last_hour",
            "Done within an hour without a person's approval: what the limits count",
            m.removals.clone(),
        );
        registry.register(
            "reconcile_drift",
            "Differences that the last reconciliation found",
            m.reconcile_drift.clone(),
        );
        registry.register(
            "reconcile_last_success_timestamp_seconds",
            "When a reconciliation last came to its end",
            m.reconcile_last_success.clone(),
        );
        registry.register_with_unit(
            "store_commit_duration",
            "Time of a commit, sync included",
            Unit::Seconds,
            m.commit_duration.clone(),
        );
        registry.register(
            "log_lines_dropped",
            "Log lines that could not be written",
            LOG_LINES_DROPPED.clone(),
        );
        registry.register("panics", "Panics caught at a task's edge", m.panics.clone());
        registry.register(
            "build",
            "The running version",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// The exposition in OpenMetrics text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a string");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_contract() {
        let metrics = Metrics::default();
        let connector = || Connector { connector: "dir".to_owned() };
        metrics.queue_oldest.get_or_create(&connector()).set(1.5);
        metrics.connector_up.get_or_create(&connector()).set(1);
        metrics.delivery_lag.get_or_create(&connector()).observe(0.2);
        metrics
            .deliveries
            .get_or_create(&Delivery { connector: "dir".to_owned(), outcome: "created".to_owned() })
            .inc();
        metrics
            .http_requests
            .get_or_create(&Request {
                organization: "lillevik".to_owned(),
                method: "POST".to_owned(),
                resource: "User".to_owned(),
                status: 201,
            })
            .inc();
        let text = metrics.text();
        for line in [
            "scim_relay_http_requests_total{organization=\"lillevik\",method=\"POST\",resource=\"User\",status=\"201\"} 1",
            "scim_relay_queue_oldest_seconds{connector=\"dir\"} 1.5",
            "scim_relay_connector_up{connector=\"dir\"} 1",
            "scim_relay_delivery_lag_seconds_sum{connector=\"dir\"} 0.2",
            "scim_relay_deliveries_total{connector=\"dir\",outcome=\"created\"} 1",
            "scim_relay_build_info{version=\"0.1.0\"} 1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
