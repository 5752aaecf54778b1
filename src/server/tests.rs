//! Tests that a defect costs only one answer, and that a request which does not end delays a stop only by its timeout.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::accounts::{self, Accounts};
use crate::auth::{Auth, FailedLoginLimits, Policy};
use crate::clock::Now;
use crate::endpoint::{Lists, LongAnswers, SharedProbe, health};
use crate::gate::{self, Forward, Gate, OnRefusal};
use crate::hashing::{Cost, Engine, EngineConfig, Permits};
use crate::http::{COMMON_HEADERS, ReadField, Reply, Request, TrustedProxies};
use crate::metrics::Metrics;
use crate::store::{Durability, Store, WhenMissing};

const LOGIN: &str = "/api/organizations/user-login/";
const PERMITS: usize = 2;

/// Services with the demo accounts, and a clock that panics as often as `defects` says.
fn services(directory: &std::path::Path, defects: &Arc<AtomicUsize>) -> Services {
    let path = directory.join("demo.db");
    let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None).unwrap();
    let store = Arc::new(store);
    let engine = Arc::new(Engine::start(EngineConfig::new(Duration::from_secs(30))).unwrap());
    let demo = Accounts::demo().unwrap();
    accounts::load(&store, &engine, demo, Cost::MIN, Timestamp::now()).unwrap();
    let policy = Policy {
        token_ttl: None,
        max_tokens_per_user: 32,
        bcrypt_cost: Cost::MIN,
        failed_logins: FailedLoginLimits::NONE,
        keep_events: None,
    };
    let defects = Arc::clone(defects);
    Services {
        auth: Auth::new(Arc::clone(&store), Arc::clone(&engine), policy, Now::read()).unwrap(),
        store,
        engine,
        permits: Permits::new(PERMITS),
        lists: Lists::default(),
        long_answers: LongAnswers::new(gate::MAX_WHOLE_BYTES),
        is_writable: SharedProbe::new(health::WRITABLE_FOR),
        database_metrics: SharedProbe::new(Duration::ZERO),
        metrics: Metrics::new().unwrap(),
        clock: Arc::new(move || {
            assert!(!is_broken(&defects), "the clock is broken");
            Now::read()
        }),
        trusted_proxies: TrustedProxies::default(),
        is_reachable: Arc::default(),
    }
}

/// A layer around the endpoints that panics as often as `defects` says.
struct Layer {
    endpoints: Endpoints,
    defects: Arc<AtomicUsize>,
}

impl Answerer for Layer {
    fn match_route(&self, method: &str, target: &str) -> MatchedRoute {
        self.endpoints.match_route(method, target)
    }

    fn answer(&self, route: &MatchedRoute, request: &mut Request<'_>) -> Reply {
        let reply = self.endpoints.answer(route, request);
        assert!(!is_broken(&self.defects), "the layer is broken");
        reply
    }
}

/// Whether the next call is to panic; counts down to 0.
fn is_broken(defects: &AtomicUsize) -> bool {
    let left = |left: usize| left.checked_sub(1);
    let was = defects.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
    was.is_ok()
}

fn login(stream: &mut TcpStream) -> (u16, String) {
    let body = r#"{"username":"jweir@projectthanos.com","password":"thanosrocks"}"#;
    let length = body.len();
    write!(
        stream,
        "POST {LOGIN} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    answer(stream)
}

fn health(stream: &mut TcpStream) -> (u16, String) {
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    answer(stream)
}

fn answer(stream: &mut TcpStream) -> (u16, String) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "no answer: {head}");
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    (
        head[9..12].parse().unwrap(),
        String::from_utf8(body).unwrap(),
    )
}

#[test]
fn a_panic_costs_one_500_and_the_connection_stays_open() {
    let directory = tempfile::tempdir().unwrap();
    let defects = Arc::new(AtomicUsize::new(0));
    let services = Arc::new(services(directory.path(), &defects));
    let in_layer = Arc::new(AtomicUsize::new(0));
    let layer = Layer {
        endpoints: Endpoints::new(Exposure::Api, Arc::clone(&services)),
        defects: Arc::clone(&in_layer),
    };
    let socket = PrivateSocket {
        scratch: Arc::new(Scratch::create_below(&std::env::temp_dir()).unwrap()),
        name: "calls",
        is_reachable: Arc::default(),
    };
    let server = Server::start(socket, Arc::new(layer), services).unwrap();
    let gate = Gate::start(gate::Config {
        listeners: gate::BoundListeners::bind(
            &["127.0.0.1:0".parse().unwrap()],
            gate::SocketMode::default(),
            None,
        )
        .unwrap(),
        limits: gate::GateLimits::default(),
        network_grouping: gate::NetworkGrouping::default(),
        backend: server.backend(),
        answer_timeout: Duration::from_secs(120),
        forward: Forward::Only(ReadField::NAMES),
        on_refusal: OnRefusal::new(|_| Vec::new()),
        on_delivery: Arc::new(|_, _| {}),
        answer_fields: COMMON_HEADERS,
        reserved_descriptors: 0,
    })
    .unwrap();
    let address = gate.addresses()[0].to_string().replace("http://", "");
    let mut stream = TcpStream::connect(address).unwrap();
    let defect = (500, r#"{"detail":"A server error occurred."}"#.to_owned());
    // More panics than there are permits and receivers, to show that none of these is lost.
    for _ in 0..2 * PERMITS + 2 * http_loop::RECEIVERS {
        defects.store(1, Ordering::SeqCst);
        assert_eq!(login(&mut stream), defect);
        assert_eq!(login(&mut stream).0, 200);
        for call in [login, health] {
            in_layer.store(1, Ordering::SeqCst);
            assert_eq!(call(&mut stream), defect);
            assert_eq!(call(&mut stream).0, 200);
        }
    }
    drop(stream);
    assert!(gate.stop(Duration::from_secs(10), || {}));
    drop(server);
}

/// An answerer that answers only once the test lets it, long after its server is to stop.
struct Late {
    called: Sender<()>,
    may_answer: Mutex<Receiver<Infallible>>,
}

impl Answerer for Late {
    fn match_route(&self, _: &str, _: &str) -> MatchedRoute {
        MatchedRoute::new("/", Pace::Slow, true, "GET")
    }

    fn answer(&self, _: &MatchedRoute, _: &mut Request<'_>) -> Reply {
        self.called.send(()).unwrap();
        let _ = self.may_answer.lock().recv();
        Reply::no_content()
    }
}

#[test]
fn a_request_that_does_not_end_does_not_delay_a_stop() {
    let directory = tempfile::tempdir().unwrap();
    let services = Arc::new(services(directory.path(), &Arc::default()));
    let scratch = Arc::new(Scratch::create_below(&std::env::temp_dir()).unwrap());
    let path = scratch.path().join("calls.sock");
    let socket = PrivateSocket {
        scratch,
        name: "calls",
        is_reachable: Arc::default(),
    };
    let ((called, is_called), (may, may_answer)) = (channel(), channel());
    let late = Late {
        called,
        may_answer: Mutex::new(may_answer),
    };
    let mut server = Server::start(socket, Arc::new(late), services).unwrap();
    let mut stream = UnixStream::connect(path).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    is_called.recv().unwrap();
    assert!(!server.end(Duration::ZERO));
    drop(may);
    assert!(server.end(Duration::MAX));
}
