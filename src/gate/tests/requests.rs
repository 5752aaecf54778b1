//! What goes through and comes back.

use super::*;

#[test]
fn a_request_is_answered_with_what_the_server_said() {
    let server = Server::start(Limits::default());
    let answer = server.talk(format!(
        "POST /a?b HTTP/1.1\r\n{CLOSE}Content-Length: 5\r\n\r\nhello"
    ));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.ends_with("Connection: close"), "{head}");
    assert!(!head.contains("tiny"), "{head}");
    assert_eq!(body, "POST /a?b [127.0.0.1] hello");
}

#[test]
fn bodies_arrive_whole_in_every_framing() {
    let server = Server::start(Limits::default());
    let large = "x".repeat(16 * 1024);
    for (framed, body) in [
        ("\r\n".to_owned(), ""),
        ("Content-Length: 0\r\n\r\n".to_owned(), ""),
        (
            "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\nT: u\r\n\r\n"
                .to_owned(),
            "hello",
        ),
        (format!("Content-Length: 16384\r\n\r\n{large}"), &large),
        (
            format!("Transfer-Encoding: chunked\r\n\r\n4000\r\n{large}\r\n0\r\n\r\n"),
            &large,
        ),
    ] {
        let answer = server.talk(format!("POST / HTTP/1.1\r\n{CLOSE}{framed}"));
        assert_eq!(
            answer.split_once("\r\n\r\n").unwrap().1,
            format!("POST / [127.0.0.1] {body}")
        );
    }
}

#[test]
fn a_body_over_the_limit_is_the_servers_to_refuse() {
    let server = Server::start(Limits::default());
    for framed in [
        "Content-Length: 16385\r\n\r\nbegun",
        "Content-Length: 99999999999999\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4001\r\n",
        "Expect: 100-continue\r\nContent-Length: 16385\r\n\r\n",
    ] {
        let answer = server.talk(format!("POST / HTTP/1.1\r\nHost: a\r\n{framed}"));
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        assert!(answer.ends_with("POST / [127.0.0.1] 16384"), "{answer}");
        assert!(!answer.contains("100 Continue"), "{answer}");
    }
}

#[test]
fn a_client_that_waits_is_told_to_continue() {
    let server = Server::start(Limits::default());
    let mut stream = server.connect();
    write!(
        stream,
        "POST / HTTP/1.1\r\n{CLOSE}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    .unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hi").unwrap();
    assert!(read_to_end(&mut stream).ends_with(" hi"));
    // HTTP/1.0 has no such thing, and a body on its way needs no invitation.
    for version in ["1.0", "1.1"] {
        let answer = server.talk(format!(
            "POST / HTTP/{version}\r\n{CLOSE}Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"
        ));
        assert_eq!(status(&answer), 200, "{answer}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(Limits::default());
    let slow = "GET /slow/100 HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let head = "HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = format!("GET /last HTTP/1.1\r\n{CLOSE}\r\nnot read as a request\r\n\r\n");
    let answers = server.talk(format!("{slow}{post}\r\n{head}{last}"));
    let bodies = [
        "\r\n\r\nGET /slow/100 [127.0.0.1] HTTP/1.1 200",
        "\r\n\r\nPOST /p [127.0.0.1] abcHTTP/1.1 200",
        // HEAD has the length of what GET would have, and no body.
        "Content-Length: 20\r\n\r\nHTTP/1.1 200",
        "\r\n\r\nGET /last [127.0.0.1] ",
    ];
    let places: Vec<_> = bodies.iter().map(|body| answers.find(body)).collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{answers}"
    );
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 4, "{answers}");
}

#[test]
fn http_1_0_closes_unless_asked_not_to() {
    let server = Server::start(Limits::default());
    let answer = server.talk("GET /a HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    let mut stream = server.connect();
    for _ in 0..2 {
        stream
            .write_all(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .unwrap();
        let (head, _) = read_answer(&mut stream);
        assert!(head.contains("\r\nConnection: keep-alive\r\n"), "{head}");
    }
}

#[test]
fn no_content_has_no_length() {
    let server = Server::start(Limits::default());
    let answer = server.talk(format!("GET /none HTTP/1.1\r\n{CLOSE}\r\n"));
    assert!(
        answer.starts_with("HTTP/1.1 204 No Content\r\n"),
        "{answer}"
    );
    assert!(!answer.contains("Content-Length"), "{answer}");
}

#[test]
fn quick_requests_of_many_clients_are_each_answered_with_their_own() {
    let server = Server::start(Limits::default());
    thread::scope(|scope| {
        for client in 0..16 {
            let mut stream = server.connect();
            scope.spawn(move || {
                for number in 0..50 {
                    let target = format!("/quick/{client}/{number}");
                    write!(stream, "GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
                    let (_, body) = read_answer(&mut stream);
                    assert_eq!(body, format!("GET {target} [127.0.0.1] "));
                }
            });
        }
    });
}
