//! A token is on disk before it is answered, whatever happens next.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::harness::accounts::{self, JWEIR, PASSWORD, crowd, crowded};
use crate::harness::{JSON, LOGIN, Place, login_body, request};

#[test]
fn after_a_kill_in_the_middle_of_logins_every_answered_token_is_there() {
    let place = Place::seeded(&crowded());
    let server = place.serve(&["--max-tokens-per-user", "1000"]);
    let answered = Mutex::new(Vec::new());
    let enough = AtomicUsize::new(0);
    thread::scope(|scope| {
        for names in crowd().chunks(8) {
            let (server, answered, enough) = (&server, &answered, &enough);
            let names = names.to_vec();
            scope.spawn(move || {
                let mut connection = server.connect();
                for username in names.iter().cycle() {
                    let bytes = request("POST", LOGIN, &[JSON], login_body(username, PASSWORD));
                    // The kill can end the connection at any point.
                    if connection.try_send(&bytes).is_err() {
                        return;
                    }
                    let Some(answer) = connection.answer_or_end() else {
                        return;
                    };
                    answered.lock().unwrap().push(answer.token());
                    if enough.fetch_add(1, Ordering::Relaxed) == 100 {
                        server.signal(rustix::process::Signal::KILL);
                    }
                }
            });
        }
    });
    drop(server);

    let server = place.serve(&[]);
    let answered = answered.into_inner().unwrap();
    assert!(answered.len() > 100);
    for token in &answered {
        assert!(place.holds_token(token), "{token} of {}", answered.len());
    }
    assert_eq!(place.integrity(), "ok");
    assert_eq!(server.login(&crowd()[0], PASSWORD).status, 200);
}

#[test]
fn two_servers_share_one_file() {
    let place = Place::seeded(&crowded());
    let servers = [place.serve(&[]), place.serve(&[])];
    let tokens: Vec<String> = thread::scope(|scope| {
        let clients: Vec<_> = crowd()
            .chunks(16)
            .enumerate()
            .map(|(number, names)| {
                let server = &servers[number % 2];
                let names = names.to_vec();
                scope.spawn(move || {
                    let login = |username: &String| server.login(username, PASSWORD).token();
                    names.iter().map(login).collect::<Vec<String>>()
                })
            })
            .collect();
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    });
    assert_eq!(tokens.len(), crowd().len());
    assert!(tokens.iter().all(|token| place.holds_token(token)));
    let [first, second] = servers;
    first.stop();
    assert_eq!(second.login(&crowd()[0], PASSWORD).status, 200);
    second.stop();
    assert_eq!(place.integrity(), "ok");
}

#[test]
fn accounts_loaded_beside_a_server_log_in_at_once() {
    let place = Place::seeded(&accounts::retailer([accounts::user("somebody")]));
    let server = place.serve(&[]);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 401);
    place
        .seed(&accounts::retailer([accounts::user(JWEIR)]))
        .succeeded();
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
}

#[test]
fn a_server_that_stops_leaves_one_complete_file() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let before = place.files("");
    let server = place.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    server.stop();
    assert_eq!(place.files(""), before);
    assert!(place.holds_token(&token));
}
