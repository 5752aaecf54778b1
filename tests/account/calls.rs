//! The organization and its users: the exact answers, and the order of the checks.

use serde_json::json;

use super::{
    ALL_USERS, CALLS, DETAIL, JWEIRS_TOKEN, ORGANIZATION, VERIFY, call, get, get_json, log_in,
};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{JSON, Place, Server, request};

const JWEIRS_ANSWER: &str = concat!(
    r#"{"uuid":"3a7acb28-ab13-437e-8c35-46cf4f0bea49","#,
    r#""person":{"uuid":"2e0ecb7e-9426-4e66-a8a9-e69cd8c806c0","first_name":"Jason","last_name":"Weir","#,
    r#""email":"jweir@projectthanos.com","phone":"1-722-036-2568x9442"},"#,
    r#""permission_assignments":{"permissions":["#,
    r#"{"assigned":true,"permission":{"uuid":"51690784-8e22-44f2-a6b6-ae3fdb556051","name":"create_org","#,
    r#""display_name":"Create organizations","description":"May create organizations on the market place."}},"#,
    r#"{"assigned":true,"permission":{"uuid":"f3854a65-cb5c-4ea6-a0b6-e352328f3f92","name":"update_org_status","#,
    r#""display_name":"Update organization status","description":"May activate and deactivate organizations."}},"#,
    r#"{"assigned":true,"permission":{"uuid":"d3826e60-0f8d-4ca5-b89c-2d2022ece698","name":"create_relationships","#,
    r#""display_name":"Create relationships","description":"May relate retailers and suppliers to each other."}}"#,
    r#"],"org_user":{"uuid":"3a7acb28-ab13-437e-8c35-46cf4f0bea49"}},"status":"ACTIVE"}"#,
);

#[test]
fn the_organization_call_answers_exactly_the_organization_of_the_caller() {
    let server = Server::demo();
    let answer = get(&server, ORGANIZATION, JWEIRS_TOKEN);
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.text(),
        concat!(
            r#"{"uuid":"e7409ece-e923-4aa8-a41b-4aacb9e475be","name":"projectthanos","org_type":"RETAILER","#,
            r#""status":"ACTIVE","created_date":"2017-10-23T18:20:43.336669Z","active_date":null,"#,
            r#""account_manager":null}"#,
        )
    );
    let token = server
        .login("supplier@projectthanos.com", "thanossupplies")
        .token();
    let supplier = get_json(&server, ORGANIZATION, &token);
    assert_eq!(supplier["name"], "Thanos Supply Co");
    assert_eq!(supplier["org_type"], "SUPPLIER");
}

#[test]
fn an_organization_has_the_dates_and_the_manager_of_its_fixture() {
    let mut fixture = accounts::retailer([accounts::user(JWEIR)]);
    let organization = &mut fixture["organizations"][0];
    organization["created_date"] = json!("2017-10-23T18:20:43Z");
    organization["active_date"] = json!("2017-10-24T01:02:03.5+01:00");
    organization["account_manager"] = json!({
        "uuid": "8cbb03b6-0ae1-4a5c-8ac4-9b1ee8f1ab5e", "first_name": "Ada", "phone": "1-555-0100",
    });
    let server = Place::new().serve_demo(&fixture, &[]);
    let text = get(&server, ORGANIZATION, &log_in(&server));
    let expected = concat!(
        r#""created_date":"2017-10-23T18:20:43Z","active_date":"2017-10-24T00:02:03.500000Z","#,
        r#""account_manager":{"uuid":"8cbb03b6-0ae1-4a5c-8ac4-9b1ee8f1ab5e","first_name":"Ada","last_name":null,"#,
        r#""email":null,"phone":"1-555-0100"}}"#,
    );
    assert!(text.text().ends_with(expected), "{text:?}");
}

#[test]
fn the_answer_about_one_user_is_exactly_as_published() {
    let server = Server::demo();
    let answer = get(&server, DETAIL, JWEIRS_TOKEN);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), JWEIRS_ANSWER);
}

#[test]
fn all_users_of_the_organization_and_no_others_are_listed_by_username() {
    let server = Server::demo();
    let answer = get(&server, ALL_USERS, JWEIRS_TOKEN);
    assert!(answer.text().contains(JWEIRS_ANSWER), "{answer:?}");
    let users = answer.json();
    let listed: Vec<(&str, &str)> = users
        .as_array()
        .unwrap()
        .iter()
        .map(|user| {
            let email = user["person"]["email"].as_str().unwrap();
            (email, user["status"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        listed,
        [
            ("deactivated@projectthanos.com", "DEACTIVATED"),
            (JWEIR, "ACTIVE"),
            ("waiting@projectthanos.com", "CONFIRMATION WAITING"),
        ]
    );
    for user in users.as_array().unwrap() {
        let path = format!(
            "/api/organizations/users/detail/{}/",
            user["uuid"].as_str().unwrap()
        );
        assert_eq!(&get_json(&server, &path, JWEIRS_TOKEN), user);
    }
}

#[test]
fn fields_that_a_fixture_omits_are_derived_or_null() {
    let fixture = accounts::retailer([accounts::user("Kim"), accounts::user(JWEIR)]);
    let server = Place::new().serve_demo(&fixture, &[]);
    let users = get_json(&server, ALL_USERS, &log_in(&server));
    let again = Place::new().serve_demo(&fixture, &[]);
    assert_eq!(users, get_json(&again, ALL_USERS, &log_in(&again)));
    let kim = &users[1];
    assert_eq!(
        *kim,
        json!({
            "uuid": kim["uuid"],
            "person": {
                "uuid": kim["person"]["uuid"],
                "first_name": null,
                "last_name": null,
                "email": "Kim",
                "phone": null,
            },
            "permission_assignments": {"permissions": [], "org_user": {"uuid": kim["uuid"]}},
            "status": "ACTIVE",
        })
    );
    assert_ne!(kim["uuid"], kim["person"]["uuid"]);
}

#[test]
fn a_permission_can_be_shared_by_many_users_and_removed_from_one() {
    let permission = |assigned: bool| {
        json!([{
            "uuid": "51690784-8e22-44f2-a6b6-ae3fdb556051", "name": "create_org", "assigned": assigned,
        }])
    };
    let mut users = [accounts::user(JWEIR), accounts::user("zoe")];
    users[0]["permissions"] = permission(true);
    users[1]["permissions"] = permission(false);
    let server = Place::new().serve_demo(&accounts::retailer(users), &[]);
    let users = get_json(&server, ALL_USERS, &log_in(&server));
    for (index, assigned) in [(0, true), (1, false)] {
        assert_eq!(
            users[index]["permission_assignments"]["permissions"],
            json!([{
                "assigned": assigned,
                "permission": {
                    "uuid": "51690784-8e22-44f2-a6b6-ae3fdb556051",
                    "name": "create_org",
                    "display_name": null,
                    "description": null,
                },
            }])
        );
    }
}

#[test]
fn a_user_outside_the_organization_is_not_found_whatever_the_reason() {
    let server = Server::demo();
    let supplier = server.login("supplier@projectthanos.com", "thanossupplies");
    let others = supplier.field("user_uuid");
    let rows = [
        ("of another organization", others.as_str()),
        ("unknown", "00000000-0000-4000-8000-000000000000"),
        ("in capitals", "3A7ACB28-AB13-437E-8C35-46CF4F0BEA49"),
        ("without hyphens", "3a7acb28ab13437e8c3546cf4f0bea49"),
        ("in braces", "{3a7acb28-ab13-437e-8c35-46cf4f0bea49}"),
        ("escaped", "%33a7acb28-ab13-437e-8c35-46cf4f0bea49"),
        ("a word", "me"),
        ("nothing", ""),
    ];
    let path = |uuid: &str| format!("/api/organizations/users/detail/{uuid}/");
    let first = get(&server, &path(rows[0].1), JWEIRS_TOKEN);
    assert_eq!(first.status, 404);
    assert_eq!(first.text(), r#"{"detail":"Not found."}"#);
    for (label, uuid) in rows {
        let answer = get(&server, &path(uuid), JWEIRS_TOKEN);
        assert_eq!(answer.without("date"), first.without("date"), "{label}");
    }
}

#[test]
fn the_query_the_body_and_its_media_type_are_ignored() {
    let server = Server::demo();
    let authorization = format!("token {JWEIRS_TOKEN}");
    for fields in [
        &[("Authorization", authorization.as_str())][..],
        &[("Authorization", &authorization), JSON],
        &[
            ("Authorization", &authorization),
            ("Content-Type", "text/plain"),
        ],
        &[("Authorization", &authorization), ("Accept", "text/html")],
    ] {
        for (method, path) in CALLS {
            for body in ["", "{}", "{", "username=a"] {
                let answer = server.send(request(method, &format!("{path}?page=2"), fields, body));
                let status = if *method == "POST" { 204 } else { 200 };
                assert_eq!(
                    answer.status, status,
                    "{path} {fields:?} {body:?}: {answer:?}"
                );
            }
        }
    }
}

#[test]
fn head_is_answered_wherever_get_is_with_the_same_headers_and_no_body() {
    let server = Server::demo_with(&["--metrics"]);
    let others = ["/healthz", "/readyz", "/openapi.json", "/metrics"];
    let unknown = "/api/organizations/users/detail/00000000-0000-4000-8000-000000000000/";
    for path in [ORGANIZATION, ALL_USERS, DETAIL, VERIFY, unknown]
        .iter()
        .chain(&others)
    {
        for token in [JWEIRS_TOKEN, "unknown"] {
            let mut connection = server.connect();
            connection.send(call("HEAD", path, token));
            let head = connection.answer_to_head();
            // A body would be read as the start of this answer.
            connection.send(call("GET", path, token));
            let get = connection.answer();
            assert_eq!(head.status, get.status, "{path}");
            assert_eq!(head.body, b"", "{path}");
            if *path == "/metrics" {
                continue;
            }
            assert_eq!(
                head.without("date").headers,
                get.without("date").headers,
                "{path}"
            );
        }
    }
}

#[test]
fn another_method_is_refused_with_the_allowed_ones_with_and_without_a_token() {
    let server = Server::demo_with(&["--metrics"]);
    let others = ["/healthz", "/readyz", "/openapi.json", "/metrics"];
    let rows = CALLS
        .iter()
        .copied()
        .chain(others.iter().map(|path| ("GET", *path)));
    for (has, path) in rows {
        let allow = if has == "GET" { "GET, HEAD" } else { "POST" };
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "BREW"] {
            if method == has {
                continue;
            }
            for bytes in [
                request(method, path, &[], ""),
                call(method, path, JWEIRS_TOKEN),
                request(method, path, &[], "x".repeat(16 * 1024 + 1)),
            ] {
                let answer = server.send(bytes);
                assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
                assert_eq!(answer.header("allow"), Some(allow), "{path}");
                let text = format!(r#"{{"detail":"Method \"{method}\" not allowed."}}"#);
                assert_eq!(answer.text(), text, "{path}");
            }
        }
    }
}

#[test]
fn the_first_check_that_fails_answers() {
    let server = Server::demo();
    let big = "x".repeat(16 * 1024 + 1);
    let authorization = format!("Token {JWEIRS_TOKEN}");
    let token = &[("Authorization", authorization.as_str())][..];
    let unknown_user = "/api/organizations/users/detail/00000000-0000-4000-8000-000000000000/";
    let no_uuid = "/api/organizations/users/detail/me/";
    let rows = [
        (
            "path before token",
            "GET",
            "/api/organizations",
            &[][..],
            "",
            404,
        ),
        ("malformed UUID before token", "GET", no_uuid, &[], "", 404),
        (
            "malformed UUID before size",
            "GET",
            no_uuid,
            token,
            &big,
            404,
        ),
        ("token before user", "GET", unknown_user, &[], "", 401),
        ("token before size", "GET", unknown_user, &[], &big, 401),
        ("size before user", "GET", unknown_user, token, &big, 413),
        ("user", "GET", unknown_user, token, "", 404),
    ];
    for (label, method, path, fields, body, status) in rows {
        let answer = server.send(request(method, path, fields, body));
        assert_eq!(answer.status, status, "{label}: {answer:?}");
    }
    for (method, path) in CALLS {
        let unauthorized = server.send(request(method, path, &[], &big));
        assert_eq!(unauthorized.status, 401, "{path}");
        let too_large = server.send(request(method, path, token, &big));
        assert_eq!(too_large.status, 413, "{path}");
    }
}

#[test]
fn no_account_call_shows_a_trace_of_a_password() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let server = place.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    for path in [ORGANIZATION, ALL_USERS, VERIFY] {
        let answer = get(&server, path, &token);
        for secret in ["$2", PASSWORD, &token] {
            assert!(!answer.text().contains(secret), "{path}: {secret}");
        }
    }
}
