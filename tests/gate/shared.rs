//! Many concurrent clients: each gets its own answers.

use std::thread;

use super::{not_found, request};
use crate::harness::Server;
use crate::harness::accounts::{JWEIR, PASSWORD};

const CLIENTS: usize = 24;
const REQUESTS: usize = 40;

#[test]
fn requests_of_many_clients_at_once_each_get_their_own_answer() {
    let server = Server::demo();
    let token = server.login(JWEIR, PASSWORD).token();
    let authorization = format!("Token {token}");
    let codes = [200, 401, 413, 500, 503];
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (server, authorization) = (&server, &authorization);
            scope.spawn(move || {
                let mut connection = server.connect();
                for number in 0..REQUESTS {
                    let code = codes[(client + number) % codes.len()];
                    let prefer = format!("code={code}");
                    let headers = [
                        ("Authorization", authorization.as_str()),
                        ("Prefer", &prefer),
                    ];
                    let path = "/api/organizations/token-verify/";
                    let method = if number % 7 == 0 { "HEAD" } else { "GET" };
                    connection.send(request(method, path, &headers, ""));
                    let answer = match method {
                        "HEAD" => connection.answer_to_head(),
                        _ => connection.answer(),
                    };
                    assert_eq!(answer.status, code, "{answer:?}");
                    assert_eq!(answer.header("preference-applied"), Some(prefer.as_str()));
                }
            });
        }
    });
}

#[test]
fn quick_and_slow_requests_of_one_connection_stay_in_their_order() {
    let server = Server::demo();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut connection = server.connect();
                let pipelined = [not_found(), super::login(), not_found()].concat();
                for _ in 0..3 {
                    connection.send(&pipelined);
                    let statuses = [(); 3].map(|()| connection.answer().status);
                    assert_eq!(statuses, [404, 200, 404]);
                }
            });
        }
    });
}
