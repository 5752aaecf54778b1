//! The gates of a server, each with the HTTP loop behind it: one for the calls, and one for the metrics if they have
//! their own address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::error::StartError;
use crate::endpoint::Services;
use crate::gate::{self, BoundListeners, Forward, Gate, NetworkGrouping};
use crate::http::{COMMON_HEADERS, EveryField, ReadField};
use crate::metrics::GateReading;
use crate::scratch::Scratch;
use crate::server::{self, Answerer, Endpoints, Exposure, PrivateSocket, on_refusal};
use crate::stub::{HostFilter, Hosts};

/// How long a stop waits for requests in progress.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// The number of file descriptors that everything except the gate uses; each database connection takes three.
pub(super) const DESCRIPTORS: usize = 35;

/// A gate and the HTTP server behind it. Dropping it stops both, the gate first.
pub(super) struct GatedServer {
    pub(super) gate: Arc<Gate>,
    answerer: Arc<dyn Answerer>,
    server: server::Server,
}

impl GatedServer {
    /// Stops the gate. Waits for `grace` at most, and does nothing if it has already stopped.
    pub(super) fn stop(&self, grace: Duration) {
        self.answerer.stop();
        if !self.gate.stop(grace, || self.server.end_waits()) {
            tracing::warn!("the grace period ended with connections still open; they were closed");
        }
    }
}

impl Drop for GatedServer {
    fn drop(&mut self) {
        self.stop(GRACE);
    }
}

/// Starts gated servers, with the parts that all of them share.
pub(super) struct GatedServers {
    pub(super) scratch: Arc<Scratch>,
    pub(super) services: Arc<Services>,
    pub(super) limits: gate::GateLimits,
    pub(super) answer_timeout: Duration,
    pub(super) client_network: NetworkGrouping,
}

/// The answerer, and the client headers that the gate forwards to it.
pub(super) type Answering = (Arc<dyn Answerer>, Forward);

impl GatedServers {
    /// Starts the server for metrics at their own address. `hosts` are the hosts of a demo: at a loopback address its
    /// metrics are only answered for these.
    pub(super) fn start_metrics(
        &self,
        address: SocketAddr,
        listening: BoundListeners,
        hosts: Option<Hosts>,
    ) -> Result<GatedServer, StartError> {
        let endpoints = Endpoints::new(Exposure::Metrics, Arc::clone(&self.services));
        let endpoints: Arc<dyn Answerer> = Arc::new(endpoints);
        let answering: Answering = match hosts {
            Some(hosts) if address.ip().to_canonical().is_loopback() => {
                let filter = HostFilter::new(endpoints, hosts, EveryField::of_a_demo());
                (Arc::new(filter), Forward::All)
            }
            _ => (endpoints, Forward::Only(ReadField::NAMES)),
        };
        self.start("metrics", Arc::default(), answering, listening)
    }

    /// Starts the server for the calls.
    pub(super) fn start_calls(
        &self,
        answering: Answering,
        listening: BoundListeners,
    ) -> Result<GatedServer, StartError> {
        let is_reachable = Arc::clone(&self.services.is_reachable);
        let gated = self.start("calls", is_reachable, answering, listening)?;
        let gate = Arc::downgrade(&gated.gate);
        self.services
            .metrics
            .read_gate_by(move || gate.upgrade().map_or_else(GateReading::default, reading));
        Ok(gated)
    }

    fn start(
        &self,
        name: &'static str,
        is_reachable: Arc<AtomicBool>,
        (answerer, forward): Answering,
        listening: BoundListeners,
    ) -> Result<GatedServer, StartError> {
        let socket = PrivateSocket {
            scratch: Arc::clone(&self.scratch),
            name,
            is_reachable,
        };
        let on_refusal = on_refusal(Arc::clone(&answerer), Arc::clone(&self.services));
        let delivering = Arc::clone(&answerer);
        let server =
            server::Server::start(socket, Arc::clone(&answerer), Arc::clone(&self.services))
                .map_err(StartError::PrivateSocket)?;
        let gate = Gate::start(gate::Config {
            listeners: listening,
            limits: self.limits.clone(),
            network_grouping: self.client_network.clone(),
            backend: server.backend(),
            answer_timeout: self.answer_timeout,
            forward,
            on_refusal,
            on_delivery: Arc::new(move |number, is_whole| delivering.delivered(number, is_whole)),
            answer_fields: COMMON_HEADERS,
            reserved_descriptors: DESCRIPTORS,
        })?;
        Ok(GatedServer {
            gate: Arc::new(gate),
            answerer,
            server,
        })
    }
}

fn reading(gate: Arc<Gate>) -> GateReading {
    GateReading {
        connections: gate.connections(),
        refused_connections: gate.refused_connections(),
        certificate_expires: gate.certificate_expires(),
    }
}
