//! `POST /api/organizations/user-login/`: takes a username and a password, returns a token and account data.

use std::net::IpAddr;

use serde::Serialize;

use super::{Error, Services};
use crate::account::{Username, UsernameFaults};
use crate::auth::{Admission, Attempt, ClientNetwork, Credentials, Login};
use crate::hashing::{Password, Permit};
use crate::http::{Field, Object, Reply, Request};

/// The path of the call, including its trailing slash.
pub const PATH: &str = "/api/organizations/user-login/";

const REQUIRED: &str = "This field is required.";
const NULL: &str = "This field may not be null.";
const NOT_A_STRING: &str = "Not a valid string.";
const BLANK: &str = "This field may not be blank.";
const TOO_LONG: &str = "Ensure this field has no more than 254 characters.";
const NUL_CHARACTER: &str = "Null characters are not allowed.";

/// Answers a login.
///
/// # Errors
/// One for every answer other than 200; see [`Error`].
pub fn handle(services: &Services, request: &mut Request<'_>) -> Result<Reply, Error> {
    let body = request.json_body()?;
    let credentials = credentials(&body.object()?)?;
    let client = request.client(&services.trusted_proxies);
    let login = log_in(services, &credentials, client)
        .inspect_err(|error| set_failed_user_for_log(request, error))?;
    request.set_user_for_log(&login.user_uuid);
    let reply = Reply::json(200, &LoginAnswer::from(&login));
    Ok(match login.rehash {
        Some(rehash) => reply.and_then(|| rehash.start()),
        None => reply,
    })
}

fn log_in(services: &Services, credentials: &Credentials, client: IpAddr) -> Result<Login, Error> {
    let (attempt, permit) = admit(services, &credentials.username, client)?;
    let now = (services.clock)();
    Ok(services
        .auth
        .authenticate(attempt, &permit, credentials, now)?)
}

/// Admits an attempt to log in. An attempt that the throttle refuses at once needs no permit; one that has to wait, for
/// other attempts or for the database, gets its permit first.
fn admit(
    services: &Services,
    username: &Username,
    client: IpAddr,
) -> Result<(Attempt, Permit), Error> {
    let (auth, now) = (&services.auth, || (services.clock)());
    let mut admitted = auth.admit_at_once(username, client, now())?;
    let permit = services.permits.admit(ClientNetwork::from(client).into())?;
    loop {
        let attempt = match admitted {
            Some(Admission::Granted(attempt)) => Some(attempt),
            Some(Admission::Queued(turn)) => auth.wait(turn, &permit)?,
            None => None,
        };
        if let Some(attempt) = attempt {
            return Ok((attempt, permit));
        }
        admitted = Some(auth.admit(username, client, now())?);
    }
}

/// Stores the user whose login failed, for the log. Usernames that do not exist are never logged.
fn set_failed_user_for_log(request: &mut Request<'_>, error: &Error) {
    if let Error::Auth(error) = error
        && let Some(user_uuid) = error.user_uuid()
    {
        request.set_user_for_log(user_uuid);
    }
}

/// The body of the answer, as published; the order of the fields matters.
#[derive(Serialize)]
struct LoginAnswer<'l> {
    auth_token: &'l str,
    org_uuid: &'l str,
    user_uuid: &'l str,
    retailer_uuid: &'l str,
    supplier_uuid: &'l str,
    org_type: &'static str,
}

impl<'l> From<&'l Login> for LoginAnswer<'l> {
    fn from(login: &'l Login) -> Self {
        let (retailer_uuid, supplier_uuid) = login.org_type.split(login.party_uuid.as_str());
        Self {
            auth_token: login.token.as_str(),
            org_uuid: &login.org_uuid,
            user_uuid: &login.user_uuid,
            retailer_uuid,
            supplier_uuid,
            org_type: login.org_type.as_str(),
        }
    }
}

/// The errors of each field, in the order of the published API page.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct FieldErrors {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    username: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    password: Vec<&'static str>,
}

fn credentials(object: &Object<'_>) -> Result<Credentials, Error> {
    let (username, password) = (object.field("username")?, object.field("password")?);
    match (check_username(username), check_password(password)) {
        (Ok(username), Ok(password)) => Ok(Credentials { username, password }),
        (username, password) => Err(Error::Fields(FieldErrors {
            username: username.err().unwrap_or_default(),
            password: password.err().unwrap_or_default(),
        })),
    }
}

fn check_username(field: Field) -> Result<Username, Vec<&'static str>> {
    let text = text(field)?;
    Username::parse(&text).map_err(
        |UsernameFaults {
             is_blank,
             is_too_long,
             has_nul,
         }| {
            [
                (is_blank, BLANK),
                (is_too_long, TOO_LONG),
                (has_nul, NUL_CHARACTER),
            ]
            .into_iter()
            .filter_map(|(fault, message)| fault.then_some(message))
            .collect()
        },
    )
}

fn check_password(field: Field) -> Result<Password, Vec<&'static str>> {
    let text = text(field)?;
    if text.is_empty() {
        Err(vec![BLANK])
    } else if text.contains('\0') {
        Err(vec![NUL_CHARACTER])
    } else {
        Ok(Password::new(text))
    }
}

fn text(field: Field) -> Result<zeroize::Zeroizing<String>, Vec<&'static str>> {
    match field {
        Field::Text(text) => Ok(text),
        Field::Missing => Err(vec![REQUIRED]),
        Field::Null => Err(vec![NULL]),
        Field::Other => Err(vec![NOT_A_STRING]),
    }
}
