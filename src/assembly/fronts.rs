//! The gates of a server, each with the loop behind it: one for its calls, and one for its metrics if they have an address of
//! their own.

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
use crate::stub::{Hosts, OwnHosts};

/// How long a stop waits for requests in flight.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// File descriptors of everything but the gate: the database's connections have three each.
pub(super) const DESCRIPTORS: usize = 32;

/// A gate and the server behind it. Dropped, both stop, the gate first.
pub(super) struct Front {
    pub(super) gate: Arc<Gate>,
    answerer: Arc<dyn Answerer>,
    _server: server::Server,
}

impl Front {
    /// Does nothing when it has stopped already.
    pub(super) fn stop(&self, grace: Duration) {
        self.answerer.stop();
        if !self.gate.stop(grace) {
            tracing::warn!("requests in flight were cut off");
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop(GRACE);
    }
}

/// What all fronts have in common.
pub(super) struct Fronts {
    pub(super) scratch: Arc<Scratch>,
    pub(super) services: Arc<Services>,
    pub(super) limits: gate::Limits,
    pub(super) answer_timeout: Duration,
    pub(super) client_network: NetworkGrouping,
}

/// What answers, and the headers of clients that it gets.
pub(super) type Answering = (Arc<dyn Answerer>, Forward);

impl Fronts {
    /// What metrics at an address of their own take. `hosts` are those of a demo, whose metrics other machines can only read
    /// there.
    pub(super) fn start_figures(
        &self,
        address: SocketAddr,
        listening: BoundListeners,
        hosts: Option<Hosts>,
    ) -> Result<Front, StartError> {
        let endpoints = Endpoints::new(Exposure::Metrics, Arc::clone(&self.services));
        let endpoints: Arc<dyn Answerer> = Arc::new(endpoints);
        let answering = match hosts {
            Some(hosts) if address.ip().to_canonical().is_loopback() => {
                own_hosts(endpoints, hosts, EveryField::of_a_demo())
            }
            _ => (endpoints, Forward::Only(ReadField::NAMES)),
        };
        self.start("figures", Arc::default(), answering, listening)
    }

    pub(super) fn start_calls(
        &self,
        answering: Answering,
        listening: BoundListeners,
    ) -> Result<Front, StartError> {
        let is_reachable = Arc::clone(&self.services.is_reachable);
        let front = self.start("calls", is_reachable, answering, listening)?;
        let gate = Arc::downgrade(&front.gate);
        self.services
            .metrics
            .read_gate_by(move || gate.upgrade().map_or_else(GateReading::default, reading));
        Ok(front)
    }

    fn start(
        &self,
        name: &'static str,
        is_reachable: Arc<AtomicBool>,
        (answerer, forward): Answering,
        listening: BoundListeners,
    ) -> Result<Front, StartError> {
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
        Ok(Front {
            gate: Arc::new(gate),
            answerer,
            _server: server,
        })
    }
}

fn reading(gate: Arc<Gate>) -> GateReading {
    GateReading {
        connections: gate.connections(),
        certificate_expires: gate.certificate_expires(),
    }
}

pub(super) fn own_hosts(inner: Arc<dyn Answerer>, hosts: Hosts, fields: EveryField) -> Answering {
    (Arc::new(OwnHosts::new(inner, hosts, fields)), Forward::All)
}
